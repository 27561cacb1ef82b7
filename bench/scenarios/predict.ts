/**
 * The same fan-out twice: by real nodes in network namespaces, and simulated. How far apart they are says
 * how much the simulation's other figures can be believed.
 * @module
 */
import { createSealiftCrowd } from "../contenders/sealift.ts"
import { prepareInWorkspace } from "../prepared-workspace.ts"
import type {
  BenchOptions,
  Contender,
  NetworkShape,
  Prepared,
  Sample,
  Scenario,
} from "../scenario.ts"
import { simulate } from "../simulation/simulate.ts"
import { createWorkload } from "../workload.ts"
import { openLabNetwork } from "./lab-network.ts"
import { plainPlan, sampleOf } from "./scale.ts"

const MIB = 1024 ** 2
const DEFAULT_NETWORK: NetworkShape = { hosts: 8, rateMbit: 20 }

export const predict: Scenario = {
  name: "predict",
  question: "one fan-out in namespaces and simulated: does the simulation say what real nodes do",
  defaults: { sizeBytes: 24 * MIB, runs: 3, network: DEFAULT_NETWORK },
  // More real nodes wait for the processors of one machine, which the simulation does not have.
  hostsMax: 32,
  figures: [
    { heading: "p50", note: "p50", unit: "times" },
    { heading: "p50 simulated", note: "p50Simulated", unit: "times" },
    { heading: "lab ÷ simulated", note: "p50Ratio", unit: "times" },
    { heading: "last", note: "last", unit: "times" },
    { heading: "last simulated", note: "lastSimulated", unit: "times" },
    { heading: "lab ÷ simulated", note: "lastRatio", unit: "times" },
  ],
  series: [
    { heading: "time of each fetcher", note: "times", unit: "s" },
    { heading: "the same simulated", note: "timesSimulated", unit: "s" },
  ],
  uncountedRounds: 0,
  // There is one contender, which is compared with its own simulation.
  baseline: "none",
  generate(options, tools): Promise<Prepared> {
    return prepareInWorkspace(async (workspace) => {
      const workload = await createWorkload(await workspace.folder("work"), options)
      const shape = options.network ?? DEFAULT_NETWORK
      const network = await openLabNetwork(workspace, shape)
      const lab = await createSealiftCrowd({ workload, ...network }, tools)
      return {
        payloadBytes: workload.sizeBytes * shape.hosts,
        contenders: [besideSimulation(lab, options)],
      }
    })
  },
}

/** Each run has another seed of the simulation, the first one as told. */
function besideSimulation(lab: Contender, options: BenchOptions): Contender {
  let seed = options.seed
  return {
    ...lab,
    about: `${lab.about}; beside it the same swarm on virtual time, links without processors`,
    async measure({ signal }): Promise<Sample> {
      const measured = await lab.measure({ signal })
      const plan = plainPlan(options, seed++)
      // Not at the same time: it would take the processors that the nodes need.
      const outcome = await simulate(plan, { signal, isQuiet: true, isFull: true })
      return predictionOf(measured, sampleOf(plan, outcome))
    },
  }
}

/** Puts a measured run and its simulation side by side; both have the notes `p50`, `last` and `times`. */
export function predictionOf(measured: Sample, simulated: Sample): Sample {
  const notes = { ...measured.notes }
  for (const name of ["p50", "last"]) {
    const [real, said] = [measured.notes?.[name], simulated.notes?.[name]].map(Number)
    notes[`${name}Simulated`] = said
    notes[`${name}Ratio`] = real! / said!
  }
  notes.timesSimulated = simulated.notes?.times
  notes.seedCopiesSimulated = simulated.notes?.seedCopies
  return { ...measured, usage: { ...measured.usage, ...simulated.usage }, notes }
}
