/** EAGLE: the method contract with weights that know nothing, in every tree. */
import { methodContract } from "../../../test/method-contract.ts"
import { randomDrafter } from "../../../test/support/drafter-part.ts"
import { eagle } from "./eagle.ts"

methodContract(eagle, {
  optionSets: [{}, { tree: "static", size: "fixed" }],
  part: randomDrafter({ span: 1, fusion: "plain" }),
})
