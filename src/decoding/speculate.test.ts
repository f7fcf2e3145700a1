/** The speculative loop: every law of the method contract, for blind, hostile and perfect drafts in every shape. */
import { methodContract } from "../../test/method-contract.ts"
import { testMethod } from "../../test/support/drafters.ts"

methodContract(testMethod, {
  optionSets: [
    { fill: "empty", shape: "chain" },
    { fill: "zeros", shape: "large" },
    { fill: "random", shape: "chain" },
    { fill: "random", shape: "large" },
    { fill: "adversarial", shape: "small" },
    { fill: "perfect", shape: "chain" },
    { fill: "perfect", shape: "small" },
    { fill: "perfect", shape: "large" },
  ],
})
