/** Reads what `bench --drafts` is to run: a JSON object a line. Pure. */
import { z } from "zod"
import { ForerunError } from "../base/errors.ts"

const line = z.strictObject({
  method: z.string(),
  /** What the row is called. */
  setting: z.string(),
  options: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  /** Folder of other weights than those that come along. */
  part: z.string().optional(),
})

export interface DraftSetting {
  readonly method: string
  readonly setting: string
  readonly options?: Readonly<Record<string, string | number | boolean>> | undefined
  readonly part?: string | undefined
}

/** @throws E_INPUT with the line that is no setting */
export function readDraftSettings(text: string, path: string): DraftSetting[] {
  return text.split("\n").flatMap((source, i): DraftSetting[] => {
    if (source.trim() === "") return []
    const where = `${path}: line ${i + 1}`
    try {
      return [line.parse(JSON.parse(source))]
    } catch (cause) {
      const why = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message
      throw new ForerunError("E_INPUT", `${where} is no setting {"method","setting","options","part"}: ${why}`, {
        cause,
      })
    }
  })
}
