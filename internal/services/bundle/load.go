package bundle

import "io/fs"

// Load reads and checks the bundle whose files are at the root of fsys.
func Load(fsys fs.FS) (*Procedure, Problems) { return nil, nil }

// LoadAll loads every folder of fsys that holds a procedure.yaml and groups the bundles by code, the version that
// takes effect first in front. File names in problems begin with the folder.
func LoadAll(fsys fs.FS) (map[string][]*Procedure, Problems) { return nil, nil }

// Pack returns the files of a bundle as one deterministic archive, to be stored with the version.
func Pack(fsys fs.FS) ([]byte, error) { return nil, nil }

// Unpack gives the file tree of an archive made by [Pack].
func Unpack(archive []byte) (fs.FS, error) { return nil, nil }
