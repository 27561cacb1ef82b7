/**
 * Standing between a ready-made libp2p part and the node that it runs on.
 * @module
 */
import type { Connection, Stream, StreamHandler } from "@libp2p/interface"

/** What a guarded part uses to take streams. */
interface StreamTaker {
  readonly registrar: {
    handle(protocol: string, handler: StreamHandler, ...rest: never[]): Promise<void>
  }
}

/** Decides about a stream that others opened: calls `take`, or aborts the stream. */
export type StreamGuard = (
  protocol: string,
  stream: Stream,
  from: Connection,
  take: () => void | Promise<void>,
) => void | Promise<void>

/** Gives components of a node where `guard` sees each inbound stream before its handler does. */
export function guardStreams<T extends StreamTaker>(components: T, guard: StreamGuard): T {
  const { registrar } = components
  const handle: typeof registrar.handle = (protocol, handler, ...rest) =>
    registrar.handle(
      protocol,
      (stream, from) => guard(protocol, stream, from, () => handler(stream, from)),
      ...rest,
    )
  return override<StreamTaker>(components, { registrar: override(registrar, { handle }) }) as T
}

/** The same object to everybody but for some of its members. */
export function override<T extends object>(target: T, members: Partial<T>): T {
  return new Proxy(target, {
    get(_target, key) {
      if (Object.hasOwn(members, key)) return Reflect.get(members, key)
      const value: unknown = Reflect.get(target, key)
      return typeof value === "function" ? value.bind(target) : value
    },
  })
}
