/** Writes ZIP archives of one stored file, for tests. */
import { crc32 } from 'node:zlib';

export function zipArchive(name: string, content: Buffer, comment = ''): Buffer {
  const sizes = Buffer.alloc(12);
  sizes.writeUInt32LE(crc32(content), 0);
  sizes.writeUInt32LE(content.length, 4);
  sizes.writeUInt32LE(content.length, 8);
  const common = Buffer.concat([
    Buffer.from([20, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    sizes,
    uint16(name.length),
    uint16(0),
  ]);
  const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name), content]);
  const entry = Buffer.concat([
    Buffer.from('PK\x01\x02\x14\0', 'latin1'),
    common,
    Buffer.alloc(14),
    Buffer.from(name),
  ]);
  const directory = Buffer.alloc(8);
  directory.writeUInt32LE(entry.length, 0);
  directory.writeUInt32LE(local.length, 4);
  const end = [Buffer.from('PK\x05\x06\0\0\0\0\x01\0\x01\0', 'latin1'), directory, uint16(comment.length)];
  return Buffer.concat([local, entry, ...end, Buffer.from(comment, 'latin1')]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}
