package exchange

import "strings"

// legacyCodes maps the error codes of X-Road 7.8 to those of the releases before (spec §2.6, D5). It is a table and not a
// rule, because the older names follow none: they abbreviate here and spell out there. What X-Road never had is not listed.
var legacyCodes = map[string]string{
	// Parts of a type that come before the code.
	"client": "Client", "server": "Server", "clientproxy": "ClientProxy", "serverproxy": "ServerProxy", "opmonitor": "OpMonitor", "signer": "Signer",
	"service_failed": "ServiceFailed", "signature_verification": "SignatureVerification", "invalid_cert_path": "InvalidCertPath",
	"logging_failed": "LoggingFailed", "timestamping_failed": "TimestampingFailed",
	// Generic.
	"io_error": "IOError", "network_error": "NetworkError", "internal_error": "InternalError", "bad_request": "BadRequest", "not_found": "NotFound",
	"http_error": "HttpError", "unknown_host": "NetworkError", "database_error": "DatabaseError", "invalid_request": "InvalidRequest",
	// Verification.
	"cannot_create_signature": "CannotCreateSignature", "cert_validation": "CertValidation", "incorrect_validation_info": "IncorrectValidationInfo",
	"cannot_create_cert_path": "CannotCreateCertPath", "incorrect_certificate": "IncorrectCertificate", "invalid_signature_value": "InvalidSignatureValue",
	"malformed_signature": "MalformedSignature", "invalid_xml": "InvalidXml", "invalid_reference": "InvalidReference",
	"invalid_hash_chain": "InvalidHashChain", "malformed_hash_chain": "MalformedHashChain", "hashchain_unused_inputs": "HashChainUnusedInputs",
	"invalid_hash_chain_ref": "InvalidHashChainRef",
	// Messages.
	"ssl_authentication_failed": "SslAuthenticationFailed", "invalid_content_type": "InvalidContentType", "invalid_soap_action": "InvalidSoapAction",
	"invalid_http_method": "InvalidHttpMethod", "invalid_message": "InvalidMessage", "invalid_security_server": "InvalidSecurityServer",
	"mime_parsing_failed": "MimeParsingFailed", "missing_header": "MissingHeader", "missing_header_field": "MissingHeaderField",
	"duplicate_header_field": "DuplicateHeaderField", "missing_body": "MissingBody", "invalid_body": "InvalidBody",
	"inconsistent_headers": "InconsistentHeaders", "inconsistent_response": "InconsistentResponse", "missing_soap": "MissingSoap",
	"invalid_soap": "InvalidSoap", "missing_rest": "MissingRest", "access_denied": "AccessDenied", "service_disabled": "ServiceDisabled",
	"missing_signature": "MissingSignature", "unknown_service": "UnknownService", "invalid_protocol_version": "InvalidProtocolVersion",
	"invalid_client_identifier": "InvalidClientIdentifier", "service_type": "ServiceType",
	"client_proxy_version_not_supported": "ClientProxyVersionNotSupported",
	// Configuration.
	"unknown_member": "UnknownMember", "malformed_server_conf": "MalformedServerConf", "malformed_global_conf": "MalformedGlobalConf",
	"global_conf_outdated": "OutdatedGlobalConf", "outdated_global_conf": "OutdatedGlobalConf", "service_missing_url": "ServiceMissingUrl",
	"service_malformed_url": "ServiceMalformedUrl", "hsm_non_operational": "HSMNonOperational", "maintenance_mode": "MaintenanceMode",
	"malformed_anchor": "MalformedAnchor", "anchor_file_not_found": "AnchorFileNotFound",
	// Evidence.
	"asic_mime_type_not_found": "AsicMimeTypeNotFound", "asic_signature_not_found": "AsicSignatureNotFound", "asic_message_not_found": "AsicMessageNotFound",
	"asic_invalid_mime_type": "AsicInvalidMimeType", "asic_hash_chain_result_not_found": "AsicHashChainResultNotFound",
	"asic_hash_chain_not_found": "AsicHashChainNotFound", "asic_timestamp_not_found": "AsicTimestampNotFound",
	"asic_manifest_not_found": "AsicManifestNotFound",
	// Signing.
	"key_not_found": "KeyNotFound", "cert_not_found": "CertNotFound", "csr_not_found": "CsrNotFound", "token_not_found": "TokenNotFound",
	"token_not_active": "TokenNotActive", "token_not_initialized": "TokenNotInitialized", "token_not_available": "TokenNotAvailable",
	"token_readonly": "TokenReadOnly", "cannot_sign": "CannotSign", "unsupported_sign_algorithm": "UnsupportedSignAlgorithm",
	"cert_exists": "CertExists", "wrong_cert_usage": "WrongCertUsage", "login_failed": "LoginFailed", "pin_incorrect": "PinIncorrect",
	"timestamper_failed": "TimestamperFailed",
}

// LegacyType returns an error type as X-Road wrote it up to 7.7.1: "server.serverproxy.access_denied" is
// "Server.ServerProxy.AccessDenied". A part that X-Road never had, which is a code of our own or of a later release, is
// written in the same manner: each word with a capital letter.
func LegacyType(typ string) string {
	parts := strings.Split(typ, ".")
	for i, p := range parts {
		old, ok := legacyCodes[p]
		if !ok {
			old = camelCase(p)
		}
		parts[i] = old
	}
	return strings.Join(parts, ".")
}

// camelCase writes "quota_exceeded" as "QuotaExceeded". What is not a lower-case ASCII letter stays.
func camelCase(s string) string {
	var b strings.Builder
	upper := true
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '_':
			upper = true
			continue
		case upper && c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		}
		upper = false
		b.WriteByte(c)
	}
	return b.String()
}

// compatCodes are ours that X-Road's clients do not know, with the nearest that they do (spec §2.6). The exact one travels
// in Truc-Error.
var compatCodes = map[string]string{
	"asynchronous_only": "service_type", "purpose_required": "access_denied", "no_agreement": "access_denied", "agreement_expired": "access_denied",
	codeClock: "signature_verification.invalid_signature_value", "circuit_open": "network_error", "deadline_exceeded": "network_error", "target_too_long": "bad_request",
}

// wrappers name what went wrong only together with a code; this one stands where no better is known.
var wrappers = map[string]string{
	"signature_verification": "invalid_signature_value", "logging_failed": "io_error", "service_failed": "internal_error", "timestamping_failed": "timestamper_failed",
}

// EdgeType returns the type of a fault as a program at the edge is told it, and in exact the code that it stands for when
// compatibility hides that (spec §2.6): native programs get the exact code.
func (f *Fault) EdgeType(native bool) (typ, exact string) {
	code := f.Code()
	prefix := strings.TrimSuffix(f.Type, code)
	if with, ok := wrappers[code]; ok {
		return prefix + code + "." + with, ""
	}
	if old, ours := compatCodes[code]; ours && !native {
		return prefix + old, code
	}
	return f.Type, ""
}
