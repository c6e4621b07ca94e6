/**
 * Gives the memory under an array back now. The garbage collector would be hurried along by every hundred megabytes of uploads otherwise,
 * and marking all of the heap for them costs more than receiving them.
 * Only after what read it has come to its end: an analysis that fails early may leave a decoder behind that still reads.
 * @param array the only view of its memory; empty afterwards
 */
export function release(array: Uint8Array | Float32Array): void {
  if (array.buffer instanceof ArrayBuffer) array.buffer.transfer(0);
}
