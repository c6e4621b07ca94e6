/** Sounds made of formulas, at half of full scale or less. */

export function sine(hz: number, seconds: number, rate: number): Float32Array {
  return Float32Array.from(
    { length: Math.round(seconds * rate) },
    (_, index) => 0.5 * Math.sin((2 * Math.PI * hz * index) / rate),
  );
}

/** A tone with ten harmonics that fall off, as a voice or an instrument has them. */
export function harmonics(hz: number, seconds: number, rate: number): Float32Array {
  const orders = Array.from({ length: 10 }, (_, index) => index + 1).filter((order) => order * hz < rate / 2);
  return Float32Array.from({ length: Math.round(seconds * rate) }, (_, index) =>
    orders.reduce(
      (sum, order) => sum + (0.25 / order) * Math.sin((2 * Math.PI * order * hz * index) / rate + order),
      0,
    ),
  );
}

/** White, uniform, the same every time. */
export function noise(seconds: number, rate: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: Math.round(seconds * rate) }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  });
}

export function joined(...parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
