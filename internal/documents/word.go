package documents

import "context"

// PaperOf returns what is printed of an outgoing document, for whoever wants it in another form than [Desk.Preview], such as
// a file to write on in an office program. Errors as of Preview.
func (d *Desk) PaperOf(ctx context.Context, by Actor, id string) (Paper, error) {
	out, o, err := d.outgoing(ctx, by, id)
	if err != nil {
		return Paper{}, err
	}
	signer, err := d.person(ctx, o, out.Form.Signer)
	if err != nil {
		signer = Person{} // nobody is chosen yet
	}
	return d.paper(o, out, signer, true), nil
}
