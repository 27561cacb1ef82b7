/**
 * The classes of traffic: where the other end of a connection stands, which decides the limits that
 * hold for it.
 * @module
 */

/**
 * `lan`: the same site, whose links cost nothing. `wan`: everything else. `metered`: a part of the WAN
 * to which the way is paid by the byte; nothing is fetched over it, else the limits of the WAN hold.
 */
export type TrafficClass = "lan" | "wan" | "metered"

/** Lowest limit, bytes per second: with less, a block would take longer than peers wait for one. */
export const RATE_BYTES_MIN: number = 64 * 1024

/** Bytes per second; left out, or infinite: as fast as it goes. */
export interface Rate {
  readonly up?: number | undefined
  readonly down?: number | undefined
}

/** Limits of one moment: of everything together, and of each class. Both hold. */
export interface RateLimits extends Rate {
  readonly lan?: Rate | undefined
  readonly wan?: Rate | undefined
}
