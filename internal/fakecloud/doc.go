// Package fakecloud is what simulated services have in common: everything around the operations, and none of them.
package fakecloud
