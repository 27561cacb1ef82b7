/**
 * Loaded before a peer of Sealift: sets the flags of V8 as a node does, at run time. On the command line
 * `--semi-space-growth-factor` does nothing, and the young generation grows to 64 MiB.
 * @module
 */
import { setEngineFlags } from "../../src/daemon/engine-flags.ts"

setEngineFlags()
