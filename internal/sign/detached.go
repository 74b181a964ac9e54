package sign

import (
	"context"
	"encoding/asn1"

	"truc/internal/errs"
)

var oidTitle = asn1.ObjectIdentifier{2, 5, 4, 12}

// DetachedOptions says who signs a file and how.
type DetachedOptions struct {
	Identity          Identity
	Timestamper       Timestamper // nil makes a signature without time-stamp
	TimestampOptional bool
}

// SignDetached returns a detached CMS signature (CAdES baseline, .p7s in DER) over data.
func SignDetached(ctx context.Context, data []byte, opt DetachedOptions) (p7s []byte, err error) {
	defer errs.Wrap(&err, "sign file")
	return buildCMS(opt.Identity, cmsContent{typ: oidData, digest: hashBytes(data), stamp: stampWith(ctx, opt.Timestamper, opt.TimestampOptional)})
}

// VerifyDetached checks a detached CMS signature over data. A signature that cannot be read is reported as
// broken. Evidence about revocation is taken from inside the signature, or asked for.
func VerifyDetached(data, p7s []byte, opt VerifyOptions) Report {
	r := Report{Order: 1, Coverage: CoverWhole}
	der, _, err := toDER(p7s)
	if err != nil {
		r.fail(err)
		return r
	}
	c := checker{opt: opt}
	c.checkCMS(&r, der, hashBytes(data), true, nil)
	return r
}
