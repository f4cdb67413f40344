// Package conf reads the server's configuration: a YAML file, then the
// environment, then flags, the later over the earlier. What belongs to an
// adapter stays raw here: the adapter that owns a section decodes, checks and
// documents it, and an unknown field in it is an error there.
package conf
