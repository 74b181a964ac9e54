//go:build !unix

package web

func descriptorLimit() int { return 0 }
