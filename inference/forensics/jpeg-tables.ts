/** What the quantisation of a JPEG file tells of the program that wrote it. Pure functions of its tables. */

/** The luma table of the standard's annex K, row by row, which libjpeg and most programs scale by a quality. */
const annexK: readonly number[] = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22,
  29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103,
  121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];

/** What libjpeg makes of the standard's table at a quality, 1..100. */
export function standardTable(quality: number): number[] {
  const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
  return annexK.map((step) => Math.min(255, Math.max(1, Math.floor((step * scale + 50) / 100))));
}

export interface TableFacts {
  /** Of libjpeg's scale, 1..100: the one whose table is nearest. */
  readonly quality: number;
  /**
   * `standard`: exactly libjpeg's, as of most programs, messengers and libraries. `custom`: another, as of cameras and some editors.
   */
  readonly kind: 'standard' | 'custom';
}

/** @param luma 64 steps, row by row */
export function tableFacts(luma: readonly number[]): TableFacts {
  let quality = 1;
  let least = Infinity;
  for (let candidate = 1; candidate <= 100; candidate += 1) {
    const distance = standardTable(candidate).reduce(
      (sum, step, index) => sum + Math.abs(step - (luma[index] ?? 0)),
      0,
    );
    if (distance < least) {
      least = distance;
      quality = candidate;
    }
  }
  return { quality, kind: least === 0 ? 'standard' : 'custom' };
}
