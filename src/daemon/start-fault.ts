/**
 * Words what keeps a node from starting: the front door's address, and the disk.
 * @module
 */
import { CodedError, codeOf, messageOf } from "../core/errors.ts"
import { StoreError } from "../store/errors.ts"
import { formatHttpAddress, type HttpAddress } from "./config-value.ts"
import { DaemonError } from "./errors.ts"

/** Makes the error of an address; what has nothing to do with it is given back. */
export function listenFault(address: HttpAddress, error: unknown): unknown {
  const shown = formatHttpAddress(address)
  const details = { address: shown }
  const code = codeOf(error)
  if (code === "EADDRINUSE") {
    const cure = `stop it, or choose another address: --http ${formatHttpAddress({ ...address, port: 0 })} takes a free port`
    const message = `cannot listen on ${shown}: another program does; ${cure}`
    return new DaemonError("HTTP_ADDRESS_IN_USE", message, { cause: error, details })
  }
  if (code === undefined) return error
  const message = `cannot listen on ${shown}: ${messageOf(error)}; choose another address by --http`
  return new DaemonError("HTTP_ADDRESS_INVALID", message, { cause: error, details })
}

/** Gives the store's code to a fault of the disk that another room met first. */
export function startFault(error: unknown): unknown {
  if (error instanceof StoreError || error instanceof DaemonError) return error
  const code = codeOf(error instanceof Error ? (error.cause ?? error) : error) ?? codeOf(error)
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new StoreError("DISK_FULL", `the disk is full: ${messageOf(error)}`, { cause: error })
  }
  // Another room's own words about a file that it may not use say more than this could.
  const isDenied = !(error instanceof CodedError) && (code === "EACCES" || code === "EPERM")
  if (code !== "EROFS" && !isDenied) return error
  return new StoreError("STORE_READ_ONLY", `cannot write: ${messageOf(error)}`, { cause: error })
}
