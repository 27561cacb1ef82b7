/** Peer ids of Ed25519 keys, by libp2p's definition; nothing of the code under test is imported. */

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
/** An identity multihash of 36 bytes: a public key message of type Ed25519 with 32 bytes. */
const PREFIX = "002408011220"

/** Gives the peer id of a public key, 32 bytes: base58btc of its multihash. */
export function peerIdOfKey(key: Uint8Array): string {
  const multihash = `${PREFIX}${Buffer.from(key).toString("hex")}`
  let digits = ""
  for (let rest = BigInt(`0x${multihash}`); rest > 0n; rest /= 58n) {
    digits = ALPHABET[Number(rest % 58n)] + digits
  }
  // Its first byte is 0, which base58 writes as one `1`.
  return `1${digits}`
}
