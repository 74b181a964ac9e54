// Package paper gives official documents their form: the layout of Decree 30/2020/NĐ-CP as PDF, the places and looks of
// signatures and seals, the registers in print, the stamp of arrival, and templates of an agency's own.
//
// # How a document becomes paper
//
// [Typeset] sets a [Paper], which is the nine parts of Article 8 as text, in the positions 1 to 14 of Appendix I. It
// returns the PDF and [Boxes], the places where the competent person (position 7c) and the agency (position 8) will sign.
// [Boxes.Person] and [Boxes.Seal] turn a place and a picture into a [sign.Appearance]; [AttachmentMark] and [CopyMark]
// make the marks without a picture that attachments and copies carry. Signing itself is package sign's.
//
// # What it does not know
//
// Who may sign, what a document's number is, where files are kept, and any database. It takes plain values and returns
// bytes; the same values give the same bytes. Words of the law on the paper are Vietnamese whatever language a page is in.
//
// Numbers of articles without a mark are of Decree 30/2020/NĐ-CP. Where its text leaves a choice, a comment says what was
// chosen.
package paper
