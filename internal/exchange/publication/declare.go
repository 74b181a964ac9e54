package publication

import (
	"bytes"
	"context"
	"reflect"
	"slices"
)

// Declare makes the services of the configuration what it says: new ones are published, changed ones replaced, those it
// no longer names deleted. Whether one is switched off or has an end, and its rights, stay as operators left them.
func (s *Service) Declare(ctx context.Context, list []Published) error {
	have, err := s.List(ctx)
	if err != nil {
		return err
	}
	for i := range list {
		p := list[i]
		p.Declared = true
		if err := p.describe(p.Document, ""); err != nil {
			return err
		}
		if err := p.Check(); err != nil {
			return err
		}
		if err := s.Host.CheckOffer(p.Code); err != nil {
			return err
		}
		j := slices.IndexFunc(have, func(h Published) bool { return h.Code == p.Code })
		if j < 0 {
			s.stamp(ctx, &p)
			if err := s.audit(ctx, "publish", p.Code); err != nil {
				return err
			}
			if err := s.Store.AddPublication(ctx, &p); err != nil {
				return err
			}
			continue
		}
		old := have[j]
		p.Disabled, p.Notice, p.EndsAt, p.Rights, p.Version, p.ChangedAt, p.ChangedBy = old.Disabled, old.Notice, old.EndsAt, old.Rights, old.Version, old.ChangedAt, old.ChangedBy
		p.Rights = slices.DeleteFunc(p.Rights, func(r Right) bool { return !p.grants(r) })
		if bytes.Equal(p.Document, old.Document) && reflect.DeepEqual(withoutDocument(p), withoutDocument(old)) {
			continue
		}
		s.stamp(ctx, &p)
		if err := s.audit(ctx, "refresh", p.Code); err != nil {
			return err
		}
		if err := s.Store.SavePublication(ctx, &p); err != nil {
			return err
		}
	}
	for _, h := range have {
		if !h.Declared || slices.ContainsFunc(list, func(p Published) bool { return p.Code == h.Code }) {
			continue
		}
		if err := s.audit(ctx, "delete", h.Code); err != nil {
			return err
		}
		if err := s.Store.DeletePublication(ctx, h.Code); err != nil {
			return err
		}
	}
	return nil
}

func withoutDocument(p Published) Published {
	p.Document = nil
	if len(p.Rights) == 0 {
		p.Rights = nil
	}
	return p
}
