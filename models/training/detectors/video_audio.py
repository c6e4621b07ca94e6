"""Trains, evaluates and packages `video-audio-fusion`: frames and voice by an encoder each, and a head that may lack one of them.

The encoder of frames is that of `video-temporal-gru`, whose graph has to be there; that of sound is trained here. Both stay as they are while the head
is trained, on features alone, so that every picture can be heard with every voice.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from detectors import audio, audio_data, metrics, package, pod_tensors, sources, trainer, video_clips, video_command, video_golden, video_media
from detectors import video_package, video_temporal
from detectors.augment import ffmpeg
from detectors.trainer import Batch, Config, Task
from detectors.video_command import PIXELS, Texts
from detectors.video_media import Made
from detectors.video_nets import FrameEncoder, JointHead, SoundEncoder, SoundNet
from detectors.windows import SAMPLE_RATE, WINDOW

NAME = "video-audio-fusion"
SEED = 20_321
FRAMES, WINDOWS = 12, 3
PIPELINE = {
    "type": "video-audio", "frames": FRAMES,
    "frame": {"width": video_temporal.SIDE, "height": video_temporal.SIDE, "fit": "cover", "interpolation": "area"}, "pixels": PIXELS,
    "sound": {"sampleRate": SAMPLE_RATE, "windowSeconds": 2, "windows": WINDOWS, "maxSeconds": 60}, "requires": [],
}
GRAPHS = {
    "encoder": (("frames",), "features"), "audio": (("samples",), "features"), "classifier": (("frames", "sound", "presence"), "logit"),
}
VOICES_SEEN = ("griffin-lim", "lpc-vocoder")
VOICE_UNSEEN = "world"
MISSING = 0.25
"""Of the training's examples, without pictures and as many without sound."""
TRAINED = (
    "the clips and fakes of faces of video-temporal-gru ({learning} people, and {stopping} who decided when to stop; listed in models/training/media-sources.json) and the voices of "
    "audio-spectrogram-cnn's training split, natural and through Griffin-Lim and an LPC vocoder. **The clips have no voices of their own worth the name: "
    "any voice is put under any picture.** A file is fake where its picture is, or its voice, or both. Calibrated and tested on other people and voices."
)
HEAD = {
    "name": NAME, "version": "0.1.0", "modality": "video",
    "description": "Judges a portrait video by its pictures and its voice together, or by what of them is there.",
}
CARD = {
    "intendedUse": "Shows the path from a video with sound to one calibrated verdict, also where pictures or sound are missing. Not evidence.",
    "limitations": "Learnt from {learning} people, from other people's voices put under them, and from fakes made by rules and classic vocoders. Whether lips "
    "and voice go together is not judged. Neural voices and faces are not known to it.",
    "trainingData": TRAINED[0].upper() + TRAINED[1:].replace("**", ""),
}
TEXTS = Texts(
    "video-audio",
    f"{FRAMES} frames from the middles of equal parts of the video through the encoder of video-temporal-gru, and {WINDOWS} windows of 2 s of its sound "
    "through a convolutional net over log-spectrograms. A small head judges both and is told what is missing; it was trained with either left out in a "
    "quarter of the examples each.",
    "It has no full-size counterpart among the architectures of models/import; encoders of their size are SigLIP's (93 M) and AASIST's (0.3 M).",
    TRAINED,
    [
        "Whether lips and voice go together: a voice that was put under a picture afterwards is no fake to it, as all of its training was made so.",
        "Neural voices and faces: nothing of that kind was trained on or measured.",
        "Music and several voices at once: it heard single voices alone.",
    ],
)


@dataclass(frozen=True)
class Voices:
    """int16 [N, 48000] at 16 kHz, after a codec, with what made each: `real` or a vocoder."""

    sound: np.ndarray
    makers: np.ndarray

    def of(self, kinds: Sequence[str]) -> np.ndarray:
        return np.flatnonzero(np.isin(self.makers, kinds))


@dataclass(frozen=True)
class Heard:
    """A file with sound, and which half of it is fake; what the pod's graphs take of it: frames uint8, windows float32."""

    made: Made
    picture: int
    voice: int


def pool_of(split: str, kinds: Sequence[str], share: float, salt: int) -> audio.Pool:
    return audio.build(audio.natural(split, share), tuple(kinds), (), {}, 0, salt)


def voices_of(split: str, kinds: Sequence[str], share: float, salt: int) -> Voices:
    pool = pool_of(split, kinds, share, salt)
    return Voices(pool.sound[1], pool.makers)


def spread_windows(sound: np.ndarray) -> np.ndarray:
    """int16 [samples] -> float32 [3, 32000]: as the pod spreads windows from the beginning to the end."""
    starts = [round(index * (sound.size - WINDOW) / (WINDOWS - 1)) for index in range(WINDOWS)]
    return np.stack([sound[start : start + WINDOW] for start in starts]).astype(np.float32) / 32_768


def with_sound(file: Made, sound: np.ndarray, kind: str, salt: str) -> Made:
    """The file with a voice under it; its pictures are not encoded again."""
    path = video_clips.FOLDER / "voiced" / video_clips.named(file.path.stem, kind, salt, sound.tobytes()[:4096])
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        spoken, part = path.with_suffix(".flac"), path.with_suffix(".part.mp4")
        sources.save_flac(sound.astype(np.float32) / 32_768, spoken)
        same = ["-fflags", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1"]
        ffmpeg(["-i", str(file.path), "-i", str(spoken), "-c:v", "copy", "-c:a", "aac", "-b:a", "64k", "-shortest", *same, str(part)])
        part.replace(path)
        spoken.unlink()
    return replace(file, path=path, kind=kind)


def voiced(files: Sequence[Made], voices: Voices, fake_voices: Sequence[str], salt: int) -> list[Heard]:
    """Each picture with a natural voice, and each real picture and every other fake one with a fake voice too."""
    rng = np.random.default_rng([SEED, salt])
    natural, fakes = voices.of(["real"]), {name: voices.of([name]) for name in fake_voices}
    out = []
    for index, file in enumerate(files):
        kind = file.kind if file.label else "real"
        out.append(Heard(with_sound(file, voices.sound[rng.choice(natural)], kind, "natural"), file.label, 0))
        if file.label == 0 or index % 2:
            name = fake_voices[index % len(fake_voices)]
            kind = f"{file.kind} and {name} voice" if file.label else f"{name} voice"
            out.append(Heard(with_sound(file, voices.sound[rng.choice(fakes[name])], kind, name), file.label, 1))
    return out


@dataclass(frozen=True)
class Sessions:
    encoder: video_package.Session
    audio: video_package.Session
    head: video_package.Session

    def features(self, heard: Sequence[Heard]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of frames [12, 392] and of windows of sound [3, 128] of each file."""
        given = pod_tensors.given([file.made.path for file in heard], pipeline=PIPELINE)
        return [(self.encoder(one.tensors["encoder"].astype(np.float32)), self.audio(one.tensors["audio"].astype(np.float32))) for one in given]

    def logits(self, features: Sequence[tuple[np.ndarray, np.ndarray]], presence: tuple[int, int]) -> np.ndarray:
        """What is not there is zeros, as the pod has it."""
        told = np.array([presence], np.float32)
        return np.array([float(self.head(frames[None] * presence[0], sound[None] * presence[1], told)[0, 0]) for frames, sound in features])


def sound_task(learning: audio.Pool, stopping: audio.Pool) -> Task:
    held = np.concatenate([spread_windows(clip) for clip in stopping.sound[1]])

    def batch(step: int, rng: np.random.Generator) -> Batch:
        samples, labels = next(audio.batches(learning, 1, rng))
        return {"samples": torch.from_numpy(samples), "labels": torch.from_numpy(labels)}

    def loss(net: nn.Module, made: Batch) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(net(made["samples"])[:, 0], made["labels"] * 0.94 + 0.03)

    def validate(net: nn.Module) -> dict[str, float]:
        parts = np.concatenate([net(torch.from_numpy(held[start : start + 48]))[:, 0].numpy() for start in range(0, len(held), 48)])
        return {"AUC": metrics.macro_paired_auc(parts.reshape(-1, WINDOWS).mean(1), (stopping.makers != "real").astype(int), stopping.sources)}

    torch.manual_seed(SEED)
    return Task(SoundNet(), batch, loss, validate, "AUC")


def head_task(pictures: np.ndarray, fake_pictures: np.ndarray, sounds: np.ndarray, fake_sounds: np.ndarray, held: tuple[np.ndarray, ...]) -> Task:
    """Features [N, 12, 392] and [M, 3, 128] with their labels; `held` the same four of people and voices that are not learnt from."""
    by_label = [np.flatnonzero(fake_pictures == label) for label in (0, 1)], [np.flatnonzero(fake_sounds == label) for label in (0, 1)]

    def drawn(rng: np.random.Generator, places: tuple[list[np.ndarray], list[np.ndarray]], count: int) -> tuple[np.ndarray, ...]:
        labels = np.array([(0, 0), (0, 0), (0, 0), (1, 0), (0, 1), (1, 1)])[np.arange(count) % 6]
        gone = rng.random(count)
        presence = np.stack([gone >= MISSING, (gone < MISSING) | (gone >= 2 * MISSING)], 1).astype(np.float32)
        at = [np.array([int(rng.choice(places[part][label])) for label in labels[:, part]]) for part in (0, 1)]
        return *at, presence, (labels * presence).max(1).astype(np.float32)

    def tensors(pictures_of: np.ndarray, sounds_of: np.ndarray, picked: tuple[np.ndarray, ...]) -> Batch:
        frames, sound, presence, labels = picked
        made = {"frames": pictures_of[frames] * presence[:, :1, None], "sound": sounds_of[sound] * presence[:, 1:, None], "presence": presence, "labels": labels}
        return {name: torch.from_numpy(values.astype(np.float32)) for name, values in made.items()}

    def said(net: nn.Module, made: Batch) -> torch.Tensor:
        return net(made["frames"], made["sound"], made["presence"])[:, 0]

    def validate(net: nn.Module) -> dict[str, float]:
        places = [np.flatnonzero(held[1] == label) for label in (0, 1)], [np.flatnonzero(held[3] == label) for label in (0, 1)]
        made = tensors(held[0], held[2], drawn(np.random.default_rng(SEED), places, 300))
        return {"AUC": metrics.auc(said(net, made).numpy(), made["labels"].numpy().astype(int))}

    torch.manual_seed(SEED + 1)
    return Task(
        JointHead(), lambda step, rng: tensors(pictures, sounds, drawn(rng, by_label, 96)),
        lambda net, made: F.binary_cross_entropy_with_logits(said(net, made), made["labels"] * 0.94 + 0.03), validate, "AUC",
    )


def picture_features(files: Sequence[Made], encoder: video_package.Session) -> tuple[np.ndarray, np.ndarray]:
    given = pod_tensors.given([file.path for file in files], pipeline=PIPELINE)
    kept = [(encoder(one.tensors["encoder"].astype(np.float32)), file.label) for one, file in zip(given, files) if len(one.tensors["encoder"]) == FRAMES]
    return np.stack([features for features, _ in kept]), np.array([label for _, label in kept])


def sound_features(pool: audio.Pool, session: video_package.Session) -> tuple[np.ndarray, np.ndarray]:
    """Of the coded copies, which is what an upload is."""
    return np.stack([session(spread_windows(clip)) for clip in pool.sound[1]]), (pool.makers != "real").astype(int)


def trained(options, who: video_command.People, folder: Path, started: float) -> None:
    """Leaves the three graphs in the folder."""
    share = 0.05 if options.debug else 0.5
    pool = pool_of("train", VOICES_SEEN, share, 11)
    names = np.unique(pool.sources)
    stopping_voices = np.isin(pool.sources, names[::5])
    learning, stopping = (audio.Pool(pool.sound[:, mask], pool.sources[mask], pool.makers[mask]) for mask in (~stopping_voices, stopping_voices))
    print(f"{len(learning.makers)} utterances to learn from, {len(stopping.makers)} to stop by, {time.time() - started:.0f} s", flush=True)
    configs = [
        Config(SEED, options.steps, 3e-3, evaluate_every=100, patience=4, task={"name": f"{NAME}-sound"}),
        Config(SEED + 1, 900, 3e-3, evaluate_every=100, patience=5, task={"name": f"{NAME}-head"}),
    ]
    configs = [config.for_debug() if options.debug else config for config in configs]
    task = sound_task(learning, stopping)
    outcome = trainer.train(task, configs[0], video_command.run_of(f"{NAME}-sound", options))
    print(f"sound: best of step {outcome.best_step}: {outcome.best}; ended at {outcome.last_step}, {time.time() - started:.0f} s", flush=True)
    listener = task.net.cpu().encoder
    listening = video_package.export(video_package.Graph(listener, {"samples": spread_windows(pool.sound[1][0])}, "features"), folder / "audio.onnx")
    encoder = video_package.Session(folder / "encoder.onnx")
    faces = [video_media.files(shots, video_media.FACES_SEEN, video_media.REALS, 2) for shots in (who.learning, who.stopping)]
    seen, held = (picture_features(files, encoder) for files in faces)
    told = head_task(*seen, *sound_features(learning, listening), (*held, *sound_features(stopping, listening)))
    outcome = trainer.train(told, configs[1], video_command.run_of(f"{NAME}-head", options))
    print(f"head: best of step {outcome.best_step}: {outcome.best}; ended at {outcome.last_step}, {time.time() - started:.0f} s", flush=True)
    sounds, _ = sound_features(stopping, listening)
    example = {"frames": held[0][:4], "sound": sounds[:4], "presence": np.float32([[1, 1], [1, 0], [0, 1], [1, 1]])}
    video_package.export(video_package.Graph(told.net.cpu(), example, "logit"), folder / "classifier.onnx")


def main() -> None:
    options = video_command.parser("video-audio", 500).parse_args()
    started = time.time()
    folder = video_command.folder_of(NAME, options)
    who = video_command.people(options)
    if not options.no_train:
        source = video_command.folder_of(video_temporal.NAME, options) / "encoder.onnx"
        if not source.exists():
            raise SystemExit(f"{source}: is not there; models/training/run video-temporal makes it")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / "encoder.onnx")
        trained(options, who, folder, started)
    sessions = Sessions(*(video_package.Session(folder / f"{name}.onnx") for name in ("encoder", "audio", "classifier")))
    calibration = voiced(video_media.files(who.calibration, video_media.FACES_SEEN, video_media.REALS), voices_of("calibration", VOICES_SEEN, 0.2, 12), VOICES_SEEN, 12)
    features = sessions.features(calibration)
    whole, seen, heard = (sessions.logits(features, presence) for presence in ((1, 1), (1, 0), (0, 1)))
    labels = [[max(file.picture, file.voice) for file in calibration], [file.picture for file in calibration], [file.voice for file in calibration]]
    nothing = np.array([])
    fit = package.calibrate(package.Scored(np.concatenate([whole, seen, heard]), np.concatenate(labels), nothing, nothing, nothing))
    print(f"calibration: {fit}", flush=True)

    kinds = {**video_media.FACES_SEEN, **video_media.faces_unseen(who.test)}
    test_voices = voices_of("test", (*VOICES_SEEN, VOICE_UNSEEN), 0.2, 13)
    pictures = video_media.files(who.test, kinds, video_media.REALS)
    known = [file for file in pictures if file.kind in ("real", *video_media.FACES_SEEN)]
    test = voiced(known, test_voices, VOICES_SEEN, 13)
    test += [file for file in voiced([file for file in pictures if file not in known], test_voices, VOICES_SEEN, 14) if not file.voice]
    test += [file for file in voiced([file for file in known if not file.label], test_voices, (VOICE_UNSEEN,), 15) if file.voice]
    features = sessions.features(test)
    unseen = [*video_media.faces_unseen(who.test), f"{VOICE_UNSEEN} voice"]
    rows = video_command.evaluation([file.made for file in test], sessions.logits(features, (1, 1)), fit, unseen)
    for name, presence, part in (("sound left out", (1, 0), "picture"), ("pictures left out", (0, 1), "voice")):
        chosen = [index for index, file in enumerate(test) if file.made.kind not in unseen]
        relabelled = [replace(test[index].made, kind="fake" if getattr(test[index], part) else "real") for index in chosen]
        scored = video_command.judged(relabelled, sessions.logits([features[index] for index in chosen], presence))
        rows += package.rows(f"new people, kinds of fakes of the training, {name}", scored, fit, paired=True)
    golden = golden_files()
    parameters = video_command.parameters_of(FrameEncoder(), SoundEncoder(), JointHead())
    video_command.finish(folder, HEAD, PIPELINE, GRAPHS, fit, CARD, rows, TEXTS, parameters, golden, who)
    print(f"done in {(time.time() - started) / 60:.1f} min", flush=True)


def golden_files() -> dict[str, Path]:
    """The portrait with a LibriVox reader's voice, and its blended fake with that voice through a vocoder that was not trained on."""
    reading = next(speaker for speaker in audio_data.speakers() if speaker.name == "librivox").files[0]
    voice = sources.audio(reading)[: 3 * SAMPLE_RATE]
    fake = audio.rebuilt(VOICE_UNSEEN, voice, {}, np.random.default_rng(1))
    makers = {"real": video_media.plain, "fake": video_media.FACES_SEEN["blend-flicker"]}
    return video_golden.files(NAME, makers, sounds={"real": voice, "fake": fake})


if __name__ == "__main__":
    main()
