package documentsapi

import "time"

// Taken answers a message that the axis took.
type Taken struct {
	DocID string `json:"docId"`
	// Warnings are sentences for the sender, in Vietnamese.
	Warnings []string `json:"warnings,omitempty"`
	// Repeated: it was taken before, and this is the answer of then.
	Repeated bool `json:"repeated,omitempty"`
	// Receipt is the signed receipt (a JWS), with which the sender makes a receipt file by its own copy of the directory.
	Receipt string `json:"receipt,omitempty"`
}

// News tells the sender what happened to a copy for a receiver that is no node, or that opened or refused it.
type News struct {
	// ID makes it idempotent.
	ID         string    `json:"id"`
	DocID      string    `json:"docId"`
	DocumentID string    `json:"documentId"`
	From       string    `json:"from"`
	Receiver   string    `json:"receiver"`
	Event      string    `json:"event"`
	At         time.Time `json:"at"`
	Text       string    `json:"text,omitempty"`
	Receipt    string    `json:"receipt,omitempty"`
}

// Agency is one at the axis.
type Agency struct {
	Code       string   `json:"code"`
	Name       string   `json:"name"`
	Parent     string   `json:"parent,omitempty"`
	ParentName string   `json:"parentName,omitempty"`
	Old        string   `json:"old,omitempty"`
	Mail       string   `json:"mail,omitempty"`
	Closed     bool     `json:"closed,omitempty"`
	Successors []string `json:"successors,omitempty"`
}

// ReceiptRow is one receipt in a list.
type ReceiptRow struct {
	ID    string    `json:"id"`
	Event string    `json:"event"`
	Copy  string    `json:"copy,omitempty"`
	At    time.Time `json:"at"`
	// Stamped: its file has a time-stamp by now.
	Stamped bool `json:"stamped"`
}
