/** A generator whose first value was taken to look at it. */

/** Not a generator of its own: one that was never begun would not pass its end on, and `rest` would go on for nobody. */
export function putBack<T, Result>(
  first: IteratorResult<T, Result>,
  rest: AsyncGenerator<T, Result>,
): AsyncGenerator<T, Result> {
  let isNew = true
  const whole: AsyncGenerator<T, Result> = {
    next() {
      if (!isNew) return rest.next()
      isNew = false
      return Promise.resolve(first)
    },
    return: (value) => rest.return(value),
    throw: (thrown) => rest.throw(thrown),
    [Symbol.asyncIterator]: () => whole,
  }
  return whole
}
