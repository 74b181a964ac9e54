package edxml

// Limits bounds what Read takes. A zero field has its default.
type Limits struct {
	Message     int64 // bytes of the whole message; 512 MiB
	Header      int64 // bytes without the content of attachments; 4 MiB
	Attachment  int64 // bytes of one attachment, decoded and unpacked; 512 MiB
	Attachments int   // 200
	Receivers   int   // 1 000
	Depth       int   // nesting of elements; 32
	Elements    int   // 100 000
	Attributes  int   // on one element; 64
}

func (l Limits) withDefaults() Limits {
	def := func(p *int64, v int64) {
		if *p <= 0 {
			*p = v
		}
	}
	count := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&l.Message, 512<<20)
	def(&l.Header, 4<<20)
	def(&l.Attachment, 512<<20)
	count(&l.Attachments, 200)
	count(&l.Receivers, 1000)
	count(&l.Depth, 32)
	count(&l.Elements, 100_000)
	count(&l.Attributes, 64)
	return l
}
