/** Bytes of a file, wherever they are. */
import { open } from 'node:fs/promises';

export interface MediaSource {
  /** Names the file. There is a file on disk where `content` is absent. */
  readonly path: string;
  /** All of it, where it is in memory. */
  readonly content?: Uint8Array | undefined;
}

export interface ByteReader {
  /** Of the whole file, in bytes. */
  readonly size: number;
  /** Up to `length` bytes from `position`; fewer at the end of the file. Not to be changed. */
  read(position: number, length: number): Promise<Buffer>;
}

/** Opens the file where it is not in memory, and closes it when `use` is done. */
export async function withBytes<T>(
  { path, content }: MediaSource,
  use: (reader: ByteReader) => Promise<T>,
): Promise<T> {
  if (content !== undefined) {
    const all = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
    return use({
      size: all.length,
      read: async (position, length) => all.subarray(position, position + length),
    });
  }
  const file = await open(path);
  try {
    const { size } = await file.stat();
    return await use({
      size,
      read: async (position, length) => {
        const available = Math.max(0, Math.min(length, size - position));
        const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(available), 0, available, position);
        return buffer.subarray(0, bytesRead);
      },
    });
  } finally {
    await file.close();
  }
}
