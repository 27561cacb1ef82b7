/**
 * Loaded before a peer of Sealift: sets the flags of V8 as a node does, at run time.
 * @module
 */
import { setEngineFlags } from "../../src/daemon/engine-flags.ts"

setEngineFlags()
