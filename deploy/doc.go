// Package deploy holds how Mailhaul is put into operation: the images' Dockerfiles,
// with docker-compose.yml at the repository's root. There is no code in it, only a
// test that holds what these files promise: no default secret, nothing as root, a
// Redis that loses and evicts nothing.
package deploy
