//go:build !linux

package cli

// releaseBinary does nothing: only Linux says where the binary is, and takes such advice.
func releaseBinary() {}
