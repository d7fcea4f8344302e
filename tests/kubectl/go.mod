// Only marks this folder as a module: each version has a list of its own, MINOR.mod.
module eizoku.test/kubectl

go 1.22
