package services

import (
	"context"
	"encoding/json"

	"truc/internal/errs"
)

// sendJSON calls a service with a JSON body and reads a JSON answer into out, when out is not nil.
func sendJSON(ctx context.Context, ex Exchange, call ExchangeCall, in, out any) error {
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		call.Body, call.ContentType = b, "application/json"
	}
	answer, err := ex.Call(ctx, call)
	if err != nil {
		return err
	}
	if answer.Status < 200 || answer.Status > 299 {
		return answerError(answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Body, out); err != nil {
		return errs.E(errs.Unavailable, "services.exchange.garbled", err)
	}
	return nil
}
