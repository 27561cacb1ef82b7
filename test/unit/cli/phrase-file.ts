/**
 * Key files under a passphrase that take a moment to open: a real one takes a second each time.
 * @module
 */
import { readFile, writeFile } from "node:fs/promises"
import { Encrypter } from "age-encryption"

/** Binary logarithm of the work: 18 in the files that the command line writes. */
const WORK_FACTOR = 4

/** Seals a key file in its place. */
export async function sealKeyFile(path: string, passphrase: string): Promise<void> {
  const encrypter = new Encrypter()
  encrypter.setScryptWorkFactor(WORK_FACTOR)
  encrypter.setPassphrase(passphrase)
  await writeFile(path, await encrypter.encrypt(await readFile(path)))
}
