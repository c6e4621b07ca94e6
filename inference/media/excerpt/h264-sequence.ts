/** The sequence parameter set of H.264 (ITU-T H.264, 7.3.2.1.1 and E.1.1) as far as it decides how a file is read. Pure. */
import { Bits, withoutEmulationPrevention } from './bits.ts';
import { Unusual } from './boxes.ts';

export interface H264Sequence {
  /** Of the pictures as they are shown, before they are turned, in pixels. */
  readonly width: number;
  readonly height: number;
  /** undefined where it says nothing. */
  readonly colourRange: 'full' | 'limited' | undefined;
}

/** Profiles whose sequence parameter sets describe their colours. */
const highProfiles = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135]);
const macroblock = 16;

/**
 * @param unit with its head of one byte
 * @throws Unusual for coding by fields, for other colour sampling than monochrome, 4:2:0 and 4:2:2, and for gaps that are allowed
 */
export function h264Sequence(unit: Buffer): H264Sequence {
  const bits = new Bits(withoutEmulationPrevention(unit.subarray(1)));
  const profile = bits.take(8);
  bits.take(16);
  bits.exponential();
  const colours = highProfiles.has(profile) ? chroma(bits) : 1;
  bits.exponential();
  skipPictureOrder(bits);
  bits.exponential();
  if (bits.take(1) === 1) throw new Unusual('pictures may be missing in it');
  const codedWidth = macroblock * (bits.exponential() + 1);
  const codedHeight = macroblock * (bits.exponential() + 1);
  if (bits.take(1) === 0) throw new Unusual('its pictures are coded by fields');
  bits.take(1);
  const [left, right, top, bottom] = bits.take(1) === 1 ? cropping(bits) : [0, 0, 0, 0];
  return {
    width: codedWidth - (left + right) * (colours === 0 ? 1 : 2),
    height: codedHeight - (top + bottom) * (colours === 1 ? 2 : 1),
    colourRange: bits.take(1) === 1 ? colourRange(bits) : undefined,
  };
}

/** @returns 0 for grey pictures, 1 for 4:2:0, 2 for 4:2:2 */
function chroma(bits: Bits): number {
  const format = bits.exponential();
  // In 4:4:4 ffmpeg repairs what an old encoder did wrong by that encoder's note in the first sample.
  if (format > 2) throw new Unusual('its colours are 4:4:4');
  bits.exponential();
  bits.exponential();
  bits.take(1);
  if (bits.take(1) === 1) for (let list = 0; list < 8; list += 1) skipScalingList(bits, list < 6 ? 16 : 64);
  return format;
}

function cropping(bits: Bits): [number, number, number, number] {
  return [bits.exponential(), bits.exponential(), bits.exponential(), bits.exponential()];
}

/** Behind the shape of a pixel and what may be cut off at the edges. */
function colourRange(bits: Bits): H264Sequence['colourRange'] {
  const extendedShape = 255;
  if (bits.take(1) === 1 && bits.take(8) === extendedShape) bits.take(32);
  if (bits.take(1) === 1) bits.take(1);
  if (bits.take(1) === 0) return undefined;
  bits.take(3);
  return bits.take(1) === 1 ? 'full' : 'limited';
}

function skipPictureOrder(bits: Bits): void {
  const kind = bits.exponential();
  if (kind === 0) bits.exponential();
  if (kind !== 1) return;
  bits.take(1);
  bits.exponential();
  bits.exponential();
  const cycle = bits.exponential();
  for (let picture = 0; picture < Math.min(cycle, 255); picture += 1) bits.exponential();
}

function skipScalingList(bits: Bits, length: number): void {
  if (bits.take(1) === 0) return;
  let scale = 8;
  for (let index = 0; index < length && scale !== 0; index += 1) {
    const code = bits.exponential();
    const delta = code % 2 === 1 ? (code + 1) / 2 : -code / 2;
    scale = (scale + delta + 256) % 256;
  }
}
