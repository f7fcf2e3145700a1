/** Element types as ONNX numbers them (TensorProto.DataType). */
import type { ElementType } from "./value.ts"

export const onnxType: Readonly<Record<ElementType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
}
