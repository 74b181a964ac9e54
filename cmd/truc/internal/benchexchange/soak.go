package benchexchange

import (
	"context"
	"slices"
	"time"
)

// soak keeps the Truc pair busy and looks at it from time to time. Between two looks the clients pause for a moment, so
// that a look never waits behind them.
func (b *bench) soak(ctx context.Context) (*Soak, error) {
	cs := clients(b.c.truc.consumer.addr, b.request, b.opt.Body, b.opt.SoakClients)
	defer hangUp(cs)
	s := &Soak{Concurrency: b.opt.SoakClients}
	measures := []string{"rss_bytes", "rss_anon_bytes", "heap_live_bytes", "heap_mapped_bytes", "goroutines", "open_files"}
	names := []string{roleConsumer, roleProvider}
	series := make([][]float64, len(names)*len(measures))
	var at []float64 // minutes
	start := b.opt.Now()
	for end := start.Add(b.opt.Soak); b.opt.Now().Before(end); {
		o, err := b.take(ctx, 0, cs, min(b.opt.SampleEvery, end.Sub(b.opt.Now())))
		if err != nil {
			return nil, err
		}
		s.Exchanges += o.n
		s.Errors += o.errors
		if s.FirstError == "" {
			s.FirstError = o.first
		}
		at = append(at, b.opt.Now().Sub(start).Minutes())
		for i, r := range []reply{o.consumer, o.provider} {
			for j, v := range []int64{r.RSS, r.RSSAnon, r.HeapLive, r.HeapMapped, r.Goroutines, r.Files} {
				series[i*len(measures)+j] = append(series[i*len(measures)+j], float64(v))
			}
		}
	}
	s.Seconds, s.Samples = b.opt.Now().Sub(start).Seconds(), len(at)
	s.RequestsPerSecond = float64(s.Exchanges) / max(s.Seconds, time.Microsecond.Seconds())
	for i, v := range series {
		if len(v) == 0 {
			continue
		}
		skip := len(v) / 5
		s.Series = append(s.Series, Trend{
			Process: names[i/len(measures)], Measure: measures[i%len(measures)], First: v[0], Last: v[len(v)-1],
			Min: slices.Min(v), Max: slices.Max(v), SlopePerMinute: slope(at[skip:], v[skip:]), Values: v,
		})
	}
	return s, nil
}

// slope is that of the least squares line.
func slope(x, y []float64) float64 {
	var sx, sy, sxx, sxy float64
	for i := range x {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	n := float64(len(x))
	d := n*sxx - sx*sx
	if d == 0 {
		return 0
	}
	return (n*sxy - sx*sy) / d
}
