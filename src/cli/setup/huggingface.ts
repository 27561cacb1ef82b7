/**
 * Hugging Face clients: `HF_ENDPOINT` for login shells.
 * @module
 */
import { CliError } from "../../cli/errors.ts"
import { mark, type SetupPlace, type SetupPlan } from "../../cli/setup/client.ts"

const PROFILE = "/etc/profile.d/sealift-huggingface.sh"
/** How long the node may take to say whether it has a hub. */
const PROBE_TIMEOUT_MS = 3_000

/** Plans the change. */
export async function planHuggingface(place: SetupPlace): Promise<SetupPlan> {
  const content = () => `${mark("huggingface")}\nexport HF_ENDPOINT=${place.http}\n`
  return {
    changes: [{ path: place.at(PROFILE), content }],
    notes: ["Log in again, or run: . /etc/profile.d/sealift-huggingface.sh"],
  }
}

/**
 * Refuses to point clients at a node without a hub: they would find nothing there.
 * @throws CliError `SETUP_FAILED`
 */
export async function checkHub({ http }: Pick<SetupPlace, "http">): Promise<void> {
  let status: number
  try {
    const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS)
    status = (await fetch(`${http}/api/whoami-v2`, { signal })).status
  } catch (cause) {
    throw new CliError("SETUP_FAILED", `no node answers at ${http}; start it first`, { cause })
  }
  if (status !== 404) return
  throw new CliError("SETUP_FAILED", `the node at ${http} has no Hugging Face hub`)
}
