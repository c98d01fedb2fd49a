"""What is known of a loaded model: how it wants to be asked, and what it leaves to be decided elsewhere."""

from __future__ import annotations

from rs2sam.backends import AnyBackend
from rs2sam.backends.protocol import PromptBackend
from rs2sam.language.concepts import noun_phrase, usual_phrase
from rs2sam.processing import FirstPass, Processor
from rs2sam.processing_config import Calibration


class AskedModel:
    """A processor and a backend that belong together.

    Args:
        processor: images and sentences to model inputs.
        backend: what runs the model.
    """

    def __init__(self, processor: Processor, backend: AnyBackend) -> None:
        self._processor = processor
        self._backend = backend

    @property
    def backend_name(self) -> str:
        """`onnx`, `torch`, or the name of a backend of your own."""
        return self._backend.name

    @property
    def image_size(self) -> int:
        """Side of the square that the model sees, or the longer side of a picture in its own aspect [px]."""
        return self._processor.config.image_size

    @property
    def batch_size(self) -> int:
        """Views that the model best reads at once here."""
        return self._backend.batch_size

    @property
    def min_presence(self) -> float:
        """Presence below which this model's answer is "nothing"; 0 where it has no such limit."""
        return self._processor.config.min_presence

    @property
    def min_known(self) -> float:
        """Probability that a sentence names something taught below which this model's answer is "nothing"."""
        return self._processor.config.min_known

    @property
    def calibration(self) -> Calibration | None:
        """How often a region that this model found is right; None where that was not measured."""
        return self._processor.config.calibration

    @property
    def choose_in_view(self) -> bool:
        """Whether words that compare are better decided among the regions this model finds than by the model itself."""
        return self._processor.config.choose_in_view

    @property
    def reads_phrases(self) -> bool:
        """Whether the model reads noun phrases alone, so that everything else in a sentence is to be decided for it."""
        return self._processor.reads_phrases

    @property
    def takes_prompts(self) -> bool:
        """Whether the model finds what lies at points or in a box, too: `EncodedImage.segment_prompt`."""
        return isinstance(self._backend, PromptBackend) and self._backend.takes_prompts

    @property
    def gsd_range_m(self) -> tuple[float, float] | None:
        """Finest and coarsest ground resolution that the model was made for [m/px]; None where nobody said."""
        return self._processor.config.gsd_range_m

    @property
    def first_pass(self) -> FirstPass | None:
        """How tiles of large scenes are skipped with this model; None where that was not measured."""
        return self._processor.config.first_pass

    def phrase(self, sentence: str) -> str:
        """What the model is asked in place of a sentence.

        A noun phrase where it reads no more; where it says what it was taught, its classes' own names for others.
        """
        if self.reads_phrases:
            return noun_phrase(sentence)
        classes = self._processor.config.classes
        return sentence if classes is None else usual_phrase(sentence, tuple(classes))
