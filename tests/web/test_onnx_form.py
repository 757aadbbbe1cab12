"""The export's convolutions: against PyTorch's own resizing, and against R as it is."""

import pytest
import torch
import torch.nn.functional as F

from vosedu.refinement import Refinement, _bicubic_filters
from vosedu.web.onnx_form import Doubling, ExportedRefinement


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (9, 4)])
def test_doubling_is_pytorch_s_bicubic_upsampling(size):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    wanted = F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
    torch.testing.assert_close(Doubling(3, _bicubic_filters())(x), wanted, rtol=1e-4, atol=1e-5)


def test_exported_r_gives_the_logits_of_r_at_any_size():
    torch.manual_seed(0)
    r, channels = Refinement([8, 8, 12, 16, 20]).eval(), (8, 12, 16, 20)
    image, scores = torch.rand(1, 3, 50, 71), torch.randn(2, 4, 5)
    maps = [torch.rand(1, c, -(-50 // s), -(-71 // s)) for c, s in zip(channels, (4, 8, 16, 32), strict=True)]
    with torch.inference_mode():
        wanted = r([None, *maps], scores, (50, 71))
        got = ExportedRefinement(r)(image, scores, *maps)
    assert wanted.shape == (2, 50, 71) and wanted.std() > 1e-3
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
