// Package synthetic invents a population: people, families, addresses and civil-status events that look Vietnamese and
// are nobody. The same seed, size and day always give the same people.
//
// Nothing here can be mistaken for a real person by a machine: personal numbers begin with 099, which no province or
// country has (Circular 07/2016/TT-BCA, annexes); telephone numbers begin with 0950, a prefix that no operator has held
// since S-Fone closed; mail addresses end in example.vn. Names are drawn at random.
//
// Birth places use today's 34 provinces for every year, which is an anachronism on purpose: the registers of the
// demonstration hold one list of units.
package synthetic
