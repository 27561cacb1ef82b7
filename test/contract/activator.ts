/** What every {@link Activator} does. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { codeOf } from "../../src/core/errors.ts"
import type { ActivationTarget, Activator } from "../../src/rollout/activation.ts"
import type { Activation } from "../../src/rollout/plan.ts"

/** An activator with a place of its own. */
export interface ActivatorWorld {
  readonly activator: Activator
  /** What the node allows. */
  readonly activation: Activation
  /** What it does not. */
  readonly refused: Activation
  /** Gives the n-th release, opened; what is made of it runs well. */
  target(sequence: number): Promise<ActivationTarget>
  /** Gives one whose activation fails. */
  failing(): Promise<ActivationTarget>
  /** Gives the sequence of what runs, seen from outside. */
  seen(): Promise<number | undefined>
  close(): Promise<void>
}

/**
 * Runs the contract.
 * @param canTell - whether what runs can be asked and taken away
 */
export function testActivator(
  name: string,
  make: () => Promise<ActivatorWorld>,
  { canTell }: { readonly canTell: boolean },
): void {
  describe(name, () => {
    let world: ActivatorWorld
    let options: { signal: AbortSignal }
    let controller: AbortController
    const running = async (sequence: number) =>
      world.activator.isRunning(world.activation, await world.target(sequence), options)
    const activate = async (sequence: number) =>
      world.activator.activate(world.activation, await world.target(sequence), options)

    beforeEach(async () => {
      world = await make()
      controller = new AbortController()
      options = { signal: controller.signal }
    })
    afterEach(() => world.close())

    test("makes a release the one that runs, then another, and the first one again", async () => {
      for (const sequence of [1, 2, 1, 1]) {
        await activate(sequence)
        expect(await world.seen()).toBe(sequence)
        expect(await running(sequence)).toBe(canTell ? "yes" : "unknown")
        expect(await running(sequence + 1)).toBe(canTell ? "no" : "unknown")
      }
    })

    test("refuses at once what it would refuse later, and changes nothing", async () => {
      const { activator, refused } = world
      await activate(1)
      expect(codeOf(thrownBy(() => activator.verifyAllowed(refused)))).toBe("ACTIVATION_REFUSED")
      const late = activator.activate(refused, await world.target(2), options)
      await expect(late).rejects.toMatchObject({ code: "ACTIVATION_REFUSED" })
      const away = activator.deactivate(refused, options)
      await expect(away).rejects.toMatchObject({ code: "ACTIVATION_REFUSED" })
      expect(await world.seen()).toBe(1)
      expect(() => activator.verifyAllowed(world.activation)).not.toThrow()
    })

    test("says that it failed, and the next activation works", async () => {
      await activate(1)
      const failing = world.activator.activate(world.activation, await world.failing(), options)
      await expect(failing).rejects.toMatchObject({ code: "ACTIVATION_FAILED" })
      await activate(2)
      expect(await world.seen()).toBe(2)
    })

    test("does nothing once the signal is aborted, and throws its reason", async () => {
      await activate(1)
      const reason = new Error("enough")
      controller.abort(reason)
      await expect(activate(2)).rejects.toBe(reason)
      expect(await world.seen()).toBe(1)
    })

    test.runIf(canTell)("takes away what runs, and it is no fault when nothing does", async () => {
      const { activator, activation } = world
      await activator.deactivate(activation, options)
      await activate(1)
      await activator.deactivate(activation, options)
      expect(await world.seen()).toBeUndefined()
      expect(await running(1)).toBe("no")
      await activator.deactivate(activation, options)
      await activate(2)
      expect(await world.seen()).toBe(2)
    })
  })
}

function thrownBy(act: () => void): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  return undefined
}
