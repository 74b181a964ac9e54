package exchangestore

import (
	"time"

	"truc/internal/exchange"
	"truc/internal/storage"
)

// columnSet says which columns are wanted.
type columnSet uint64

func set[T ~int](cs ...T) (s columnSet) {
	for _, c := range cs {
		s |= 1 << c
	}
	return s
}

func (s columnSet) has(c int) bool { return s&(1<<c) != 0 }

// The columns, in their order in a block.
const (
	colRole = iota
	colClient
	colService
	colMethod
	colPath
	colOutcome
	colActivity
	colDossier
	colGrant
	colDelegator
	colServiceDelegator
	colPeer
	colStatus
	colAt
	colDuration
	colRequestIndex
	colResponseIndex
	colRequestBodyIndex
	colResponseBodyIndex
	colRequestSize
	colResponseSize
	colRecorded
	colRequestOut
	colResponseIn
	colExchangeID
	colRequestID
	colTraceID
	colFaultID
	columnCount

	allColumns columnSet = 1<<columnCount - 1
)

// text returns where a row keeps a column of strings or ids.
func text(m *exchange.Message, col int) *string {
	switch col {
	case colRole:
		return &m.Role
	case colClient:
		return &m.Client
	case colService:
		return &m.Service
	case colMethod:
		return &m.Method
	case colPath:
		return &m.Path
	case colOutcome:
		return &m.Outcome
	case colActivity:
		return &m.Activity
	case colDossier:
		return &m.Dossier
	case colGrant:
		return &m.Grant
	case colDelegator:
		return &m.Delegator
	case colServiceDelegator:
		return &m.ServiceDelegator
	case colPeer:
		return &m.Peer
	case colExchangeID:
		return &m.ExchangeID
	case colRequestID:
		return &m.RequestID
	case colTraceID:
		return &m.TraceID
	}
	return &m.FaultID
}

// number returns an integer of a row.
func number(m *exchange.Message, col int) int64 {
	switch col {
	case colStatus:
		return int64(m.Status)
	case colAt:
		return storage.Micros(m.At)
	case colDuration:
		return m.Duration.Microseconds()
	case colRequestIndex:
		return m.RequestIndex
	case colResponseIndex:
		return m.ResponseIndex
	case colRequestBodyIndex:
		return m.RequestBodyIndex
	case colResponseBodyIndex:
		return m.ResponseBodyIndex
	case colRequestSize:
		return m.RequestSize
	case colResponseSize:
		return m.ResponseSize
	case colRecorded:
		return storage.Micros(m.Recorded)
	case colRequestOut:
		return storage.Micros(m.RequestOut)
	}
	return storage.Micros(m.ResponseIn)
}

func setNumber(m *exchange.Message, col int, v int64) {
	switch col {
	case colStatus:
		m.Status = int(v)
	case colAt:
		m.At = storage.Time(v)
	case colDuration:
		m.Duration = time.Duration(v) * time.Microsecond
	case colRequestIndex:
		m.RequestIndex = v
	case colResponseIndex:
		m.ResponseIndex = v
	case colRequestBodyIndex:
		m.RequestBodyIndex = v
	case colResponseBodyIndex:
		m.ResponseBodyIndex = v
	case colRequestSize:
		m.RequestSize = v
	case colResponseSize:
		m.ResponseSize = v
	case colRecorded:
		m.Recorded = storage.Time(v)
	case colRequestOut:
		m.RequestOut = storage.Time(v)
	default:
		m.ResponseIn = storage.Time(v)
	}
}

// expected is what an integer would be if it held no news: what the row before had, or what follows from columns before
// it. Sums wrap around, so that any value comes back.
func expected(m *exchange.Message, before int64, col int) int64 {
	switch col {
	case colDuration:
		return 0
	case colResponseIndex:
		return m.RequestIndex
	case colRecorded:
		return number(m, colAt) + number(m, colDuration)
	case colRequestOut:
		return number(m, colAt)
	case colResponseIn:
		return number(m, colRequestOut)
	}
	return before
}

// with adds the columns that the wanted ones are told from.
func (s columnSet) with() columnSet {
	if s.has(colResponseIn) {
		s |= set(colRequestOut)
	}
	if s.has(colRecorded) {
		s |= set(colDuration)
	}
	if s.has(colRecorded) || s.has(colRequestOut) {
		s |= set(colAt)
	}
	if s.has(colResponseIndex) {
		s |= set(colRequestIndex)
	}
	return s
}
