// Package deploy holds ready-made files for operators, and the tests of them. It is a module of its own, so that the schemas of
// Compose and Kubernetes stay out of the server's.
package deploy
