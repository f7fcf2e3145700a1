/** Runs synchronous code under a deadline: a hostile regular expression is stopped, not waited for. */
import { ForerunError } from "../base/errors.ts"

type Vm = typeof import("node:vm")

// Asked for at run time, so that a browser bundle of this folder does not need node:vm (there, nothing is guarded).
const vm: Vm | undefined = globalThis.process?.getBuiltinModule?.("node:vm")
let script: InstanceType<Vm["Script"]> | undefined
let room: { work: () => void } | undefined

/** The result of `work`, or E_TOKENIZER after `milliseconds`; any other error of `work` passes through. */
export function runGuarded<Result>(work: () => Result, milliseconds: number, what: string): Result {
  if (vm === undefined) return work()
  let outcome: { value: Result } | undefined
  script ??= new vm.Script("work()")
  room ??= vm.createContext({ work: () => {} }) as { work: () => void }
  room.work = () => {
    outcome = { value: work() }
  }
  try {
    script.runInContext(room, { timeout: milliseconds })
  } catch (thrown) {
    if ((thrown as { code?: unknown } | undefined)?.code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw thrown
    throw new ForerunError("E_TOKENIZER", `${what} took longer than ${milliseconds} ms`, {
      hint: "its regular expression backtracks too much; the tokenizer file is broken or hostile",
    })
  } finally {
    room.work = () => {}
  }
  return outcome!.value
}
