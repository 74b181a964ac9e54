// Package archtest holds the tests about the repository itself: who may import whom, that both languages say the
// same, that a merged migration never changes, that files stay readable. They cost minutes once and save reviews
// for ever. The package holds no product code.
//
// Each test reports everything it finds at once. What a rule allows by exception stands in a table beside the rule,
// with the reason. Run them with -count=1: the test cache does not see the files that they read.
//
//	go test -count=1 ./internal/archtest            check
//	go test -count=1 ./internal/archtest -update    write migrations.sum (new files only) and docs/schema.*.sql
package archtest
