"""What MediaPipe finds in the portrait of the test fixtures, in pixels, as JSON."""

import json
from pathlib import Path

import mediapipe
import numpy
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
PICTURE = REPOSITORY / "test" / "fixtures" / "media" / "photograph-real.jpg"
TARGET = REPOSITORY / "inference" / "faces" / "golden" / "photograph-real.json"


def main() -> None:
    picture = numpy.asarray(Image.open(PICTURE).convert("RGB"))
    height, width, _ = picture.shape
    golden = {
        "madeBy": "models/faces/run golden",
        "picture": str(PICTURE.relative_to(REPOSITORY)),
        "faces": faces(picture, width, height),
        "landmarks": landmarks(picture, width, height),
    }
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(golden) + "\n")
    print(f"{TARGET}: {len(golden['faces'])} face(s), {len(golden['landmarks']) // 3} landmarks")


def faces(picture: numpy.ndarray, width: int, height: int) -> list[dict]:
    """With the full-range model, as inference/faces uses it."""
    with mediapipe.solutions.face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5) as detector:
        detections = detector.process(picture).detections or []
    found = []
    for detection in detections:
        box = detection.location_data.relative_bounding_box
        found.append(
            {
                "box": {
                    "x": round(box.xmin * width, 2),
                    "y": round(box.ymin * height, 2),
                    "width": round(box.width * width, 2),
                    "height": round(box.height * height, 2),
                },
                "score": round(detection.score[0], 4),
                "keypoints": [
                    {"x": round(point.x * width, 2), "y": round(point.y * height, 2)}
                    for point in detection.location_data.relative_keypoints
                ],
            }
        )
    return found


def landmarks(picture: numpy.ndarray, width: int, height: int) -> list[float]:
    """x, y, z of each, in pixels; MediaPipe gives z in units of the picture's width."""
    with mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=False) as mesh:
        (face,) = mesh.process(picture).multi_face_landmarks
    return [round(value, 2) for point in face.landmark for value in (point.x * width, point.y * height, point.z * width)]


if __name__ == "__main__":
    main()
