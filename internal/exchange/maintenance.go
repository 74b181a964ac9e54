package exchange

// SetMaintenance makes this node refuse what others ask of its services, with the notice; empty ends it. What it asks of
// others goes on.
func (s *Service) SetMaintenance(notice string) { s.maintenance.Store(&notice) }

// inMaintenance is asked behind the access rules: whoever may not call does not learn the notice.
func (x *exchangeState) inMaintenance() *Fault {
	notice := x.s.maintenance.Load()
	if notice == nil || *notice == "" {
		return nil
	}
	f := x.fault(atProvider, "maintenance_mode", nil, "notice", *notice)
	f.Notice = *notice
	return f
}
