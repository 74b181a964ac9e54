// Package fakebank simulates a payment gateway for demonstrations and tests: it pays, fails, comes late, repeats
// itself and lies, each at the press of a button. It follows the published habits of a Vietnamese gateway (VNPAY,
// version 2.1.0), so that a driver written against it meets few surprises later; no money moves.
//
// # Paying
//
// The merchant sends the browser to GET /pay with signed parameters:
//
//	vnp_Version 2.1.0 · vnp_Command pay · vnp_TmnCode merchant · vnp_TxnRef the merchant's reference, unique
//	vnp_Amount đồng × 100 · vnp_CurrCode VND · vnp_OrderInfo text · vnp_OrderType · vnp_Locale vn or en
//	vnp_ReturnUrl · vnp_IpAddr · vnp_CreateDate and vnp_ExpireDate yyyyMMddHHmmss, GMT+7 · vnp_SecureHash
//
// The signature is HMAC-SHA512 with the merchant's secret, in hex, over the parameters that begin with vnp_ and are
// not empty, without vnp_SecureHash and vnp_SecureHashType, sorted by name and written as name=value joined by &, both
// form-urlencoded (a space is +). testdata/vectors.json holds examples.
//
// The person presses a button, and the browser goes to vnp_ReturnUrl with a signed result: vnp_ResponseCode 00 paid,
// 24 cancelled, 51 not enough money, 11 too late; vnp_TransactionStatus 00 or 02; vnp_TransactionNo, vnp_PayDate,
// vnp_BankCode, vnp_Amount, vnp_TxnRef, vnp_OrderInfo, vnp_TmnCode. The browser's word proves nothing.
//
// # The notice
//
// The gateway sends the same signed parameters by GET to the notice address of the merchant (IPN), which answers
// {"RspCode":"00","Message":"…"}: 00 noted, 01 no such order, 02 noted before, 04 wrong amount, 97 wrong signature,
// 99 other. The gateway is content with 00 and 02 and tries again after anything else, at growing intervals.
//
// # Asking
//
// POST /api/query (vnp_Command querydr) and POST /api/refund (vnp_Command refund) take a JSON object of texts, signed
// over their values joined by | in the order of [queryFields] and [refundFields], and answer likewise; or a form,
// signed like /pay, and answer in JSON signed like that. The answer to a query is the truth.
//
// fakebank knows nothing of dossiers and fees, and no driver may share its signing code: two implementations that
// agree are the test.
package fakebank
