/**
 * Every bound of TUF files (protocol/tuf-profile.md §7).
 * @module
 */

const KIB = 1024
const MIB = 1024 * KIB

export const ROOT_BYTES_MAX: number = 256 * KIB
export const TIMESTAMP_BYTES_MAX: number = 16 * KIB
export const SNAPSHOT_BYTES_MAX: number = 1 * MIB
/** Of the targets role and of each delegated one. */
export const ROLE_BYTES_MAX: number = 1 * MIB
/** Largest target file: an envelope is no larger, and an access list of 10,000 nodes is smaller. */
export const TARGET_BYTES_MAX: number = 4 * MIB
/**
 * Most members of any object and any array: targets of a role, keys, delegations, signatures.
 * tuf-js copies the whole object for each member, so that 4,000 targets take it 4 s to parse, and
 * 3 s more for each key, before it looks at a signature; 512 take it 0.03 s.
 */
export const ENTRIES_MAX = 512
/** Most keys of one role. */
export const ROLE_KEYS_MAX = 16
/** Most new roots in one refresh. A reader that was away for longer goes on in the next one. */
export const ROOT_ROTATIONS_MAX = 256
/** Most roles that are looked at for one target. */
export const ROLES_VISITED_MAX = 32
/** Largest set of all files of metadata of a fleet. */
export const SET_BYTES_MAX: number = 32 * MIB
/** Largest file that holds such a set: as JSON texts, with what was refused beside what counts. */
export const ACCEPTED_BYTES_MAX: number = 4 * SET_BYTES_MAX
