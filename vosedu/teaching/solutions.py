"""The solutions to all exercises: the one source from which `sources` makes the stubs of the notebooks and the notebooks of
solutions.

Each function stands under the number and name of its exercise and a word on why it is so.
"""

import numpy as np
import torch
import torch.nn.functional as F

# Exercise 01.1: the cosine with every position
# One product contracts the channels; the norms are a number and a map. The floor keeps a position of zeros at 0.


def similarity(f, x):
    """Cosine of f (C) with every position of x (C, h, w): (h, w)."""
    inner = torch.einsum("c,chw->hw", f, x)
    return inner / (f.norm() * x.norm(dim=0)).clamp_min(1e-8)


# Exercise 01.2: principal components
# The left singular vectors of the centred map (channels by positions) are the directions, in falling order of variance; inner
# products with them are the coordinates.


def principal_components(x, count):
    """x (C, h, w) -> (count, h, w), the direction of most variance first."""
    centred = x.flatten(1) - x.flatten(1).mean(dim=1, keepdim=True)
    directions = torch.linalg.svd(centred, full_matrices=False)[0][:, :count]
    return (directions.T @ centred).view(count, *x.shape[1:])


# Exercise 02.1: the balance meter
# With all residuals equal to 1 the data term of eq. (2) is $\sum \mathbf v^2$, and the target's part of it
# $\sum \mathbf v^2 \mathbf y$. The weights are squared *by the loss*; forgetting that is the most common mistake, and it is
# the paper's own.


def loss_share(v, labels):
    """v and labels (H, W); a number."""
    return (v.square() * labels).sum() / v.square().sum()


# Exercise 02.2: the pixel weights
# $\kappa = \max(\kappa_\min, \hat\kappa)$, and $\mathbf v^2 = \kappa / \hat\kappa$ on the target,
# $(1 - \kappa) / (1 - \hat\kappa)$ elsewhere. The engine's version also keeps both quotients finite for an empty and for a
# full mask.


def my_pixel_weights(labels, target_share):
    """labels (H, W) in {0, 1}; v (H, W)."""
    actual = labels.mean()
    kappa = torch.maximum(actual, torch.tensor(target_share))
    squared = torch.where(labels > 0, kappa / actual, (1 - kappa) / (1 - actual))
    return squared.sqrt()


# Exercise 03.1: conjugate gradient
# One product per iteration; the residual is updated, never recomputed. Once the residual is zero there is nothing left to
# do: dividing by its square would give NaN.


def my_cg(apply, b, count):
    """p after `count` iterations from zero."""
    p, residual, direction = torch.zeros_like(b), b.clone(), b.clone()
    energy = residual @ residual
    for _ in range(count):
        if energy == 0:
            break
        image = apply(direction)
        length = energy / (direction @ image)
        p = p + length * direction
        residual = residual - length * image
        previous, energy = energy, residual @ residual
        direction = residual + energy / previous * direction
    return p


# Exercise 03.2: the linearised filter
# The product rule for $\Phi = \mathbf w_2 \mathbf w_1$. The term $\delta_2 \delta_1$ is of second order: Gauss-Newton
# linearises the residual, so it is left out, and that is why a step can overshoot (Figure 4 of the notebook).


def linearised_filter(w1, w2, d1, d2):
    """w1, d1 (c, C); w2, d2 (9, c); the change of w2 w1, (9, C)."""
    return w2 @ d1 + d2 @ w1


# Exercise 03.3: the stencil in one dimension
# An entry of $Q = U^\mathsf T V^2 U$ is a product of two columns of $U$, element by element, summed over the pixels with
# weights $\mathbf v^2$: of each column with itself, then with the next.


def normal_stencil(up, v):
    """up (H, h), v (H); two vectors: Q's diagonal (h) and the one beside it (h - 1)."""
    return (up * up).T @ v**2, (up[:, :-1] * up[:, 1:]).T @ v**2


# Exercise 04.1: turning about a centre
# The centre must stay where it is, `linear @ centre + offset = centre`, and that gives the offset.


def about(centre, angle, scale):
    """centre (x, y); the (2, 3) matrix [linear | offset]: a position goes to linear @ position + offset."""
    cos, sin = np.cos(angle), np.sin(angle)
    linear = scale * np.array([[cos, -sin], [sin, cos]])
    offset = np.array(centre) - linear @ np.array(centre)
    return np.hstack([linear, offset[:, None]])


# Exercise 04.2: how much is in view
# An affine map multiplies every area by the determinant of its linear part, so that many pixels would be seen in an endless
# image.


def visible_share(mask, label, warp):
    """mask, label (H, W) of 0 and 1, before and after; warp (2, 3), [linear | offset]; a number."""
    return label.sum() / (mask.sum() * abs(np.linalg.det(warp[:, :2])))


# Exercise 05.1: channel attention
# Averages over positions, shallow first; a factor for every shallow channel; the deeper map, upsampled, is added as it is.


def channel_attention(deeper, shallower, gate):
    """deeper (1, 64, h', w'), shallower (1, 64, h, w), gate (1, 128) -> (1, 64); the block's output (1, 64, h, w)."""
    averages = torch.cat([shallower.mean((2, 3)), deeper.mean((2, 3))], dim=1)
    factors = torch.sigmoid(gate(averages))[..., None, None]
    return factors * shallower + F.interpolate(deeper, size=shallower.shape[2:], mode="bilinear")


# Exercise 05.2: the shared part of a convolution
# A convolution sums over input channels, so one over joined channels is a sum of one over each part, with the kernel cut
# alike. The features' part is computed once and broadcast.


def shared_convolution(convolve, weight, features, scores):
    """weight (O, C + 1, 3, 3), features (1, C, h, w), scores (N, 1, h, w) -> (N, O, h, w)."""
    return convolve(features, weight[:, :-1]) + convolve(scores, weight[:, -1:])


# Exercise 05.3: the target segmentation encoder
# The score joins as the last channel, at the size of this level's features. No ReLU follows the projection: what stands for
# $\mathbf z$ at the deepest level may be negative.


def target_encoder(x, scores, project, mix):
    """x (1, C, h, w), scores (1, 1, h', w'); project, mix: two and three pairs (weight, bias) of convolutions, 1x1 and 3x3;
    two maps (1, 64, h, w): the encoding, and the projected features."""
    first, second = project
    projected = F.conv2d(F.relu(F.conv2d(x, *first)), *second)
    resized = F.interpolate(scores, size=x.shape[2:], mode="bilinear")
    encoded = torch.cat([projected, resized], dim=1)
    for weight, bias in mix:
        encoded = F.relu(F.conv2d(encoded, weight, bias, padding=1))
    return encoded, projected


# Exercise 05.4: the residual block
# What the 3x3 convolutions give is added to what the 1x1 convolution gives, not to the block's input. Without the ReLU between
# the two they would be one linear map.


def residual_block(inputs, project, first, norm, second):
    """inputs (1, 64, h, w); project, first, second: (weight, bias) of a 1x1 and two 3x3 convolutions, a bias may be None; norm:
    batch normalisation, a function; a map of the same shape."""
    base = F.conv2d(inputs, *project)
    branch = F.relu(norm(F.conv2d(base, *first, padding=1)))
    return F.relu(base + F.conv2d(branch, *second, padding=1))


# Exercise 05.5: one level of R
# The attention block stands between the residual blocks, for it needs both maps. At the deepest level there is no deeper
# state, and the average of the projection takes its place.


def refinement_level(x, scores, deeper, encode, first, attention, second):
    """x (1, C, h, w), scores (1, 1, h', w'), deeper: z of the deeper level, (1, 64, h", w"), or None at the deepest; encode,
    first, attention, second: the blocks, each a function; z of this level, (1, 64, h, w)."""
    encoded, projected = encode(x, scores)
    if deeper is None:
        deeper = projected.mean((2, 3), keepdim=True)
    return second(attention(deeper, first(encoded)))


# Exercise 06.1: the weights of the memory
# The new weight is set against the *previous newest* one, which for the first insertion is $\gamma_0 = \eta$; normalising
# scales all weights alike, the newest among them, so doing it once at the end gives the same.


def memory_weights(count, eta):
    """Weights (count + 1) of one first sample and `count` insertions, summing to one."""
    weights, newest = torch.ones(1), eta
    for _ in range(count):
        weights = torch.cat([weights, torch.tensor([newest / (1 - eta)])])
        weights = weights / weights.sum()
        newest = weights[-1].item()
    return weights


# Exercise 06.2: when is the given frame thrown away?
# A simulation says it. With $\eta = 0.1$ the first of the method's own masks already weighs more than the given frame, so the
# copies go first and then the frame, after $K_\max$ insertions. With a small $\eta$ its own early masks weigh less, and go
# before it.


def eviction(samples, capacity, eta):
    """The number of the insertion that overwrites the given frame, counted from 1."""
    weights, names, newest, count = [2.0] + [1.0] * (samples - 1), list(range(samples)), eta, 0
    weights = [w / sum(weights) for w in weights]
    while 0 in names:
        count += 1
        if len(weights) == capacity:
            least = weights.index(min(weights))
            del weights[least], names[least]
        weights, names = [*weights, newest / (1 - eta)], [*names, samples + count]
        weights = [w / sum(weights) for w in weights]
        newest = weights[-1]
    return count


# Exercise 06.3: soft aggregation
# A softmax over log-odds *is* each one's odds over their sum.


def soft_aggregation(p):
    """p (N, H, W) in (0, 1) -> (N + 1, H, W), the background first, summing to one."""
    everyone = torch.cat([(1 - p).prod(dim=0, keepdim=True), p])
    odds = everyone / (1 - everyone)
    return odds / odds.sum(dim=0)


# Exercise 07.1: the gradient
# The derivative of the loss with respect to $p$ is $(p - y) / (p (1 - p))$, and $\partial p / \partial \ell = p (1 - p)$: the
# factor cancels, so a pixel that is wrong and sure of it has a gradient of full size. With the square of a sigmoid the factor
# stays, and the gradient would be nearly 0.


def entropy_gradient(logits, labels):
    """Derivative of the mean cross-entropy with respect to logits; tensors of one shape."""
    return (logits.sigmoid() - labels) / labels.numel()


# Exercise 07.2: a stable cross-entropy
# $-\log \sigma(\ell) = \log(1 + \exp(-\ell))$ and $-\log(1 - \sigma(\ell)) = \ell + \log(1 + \exp(-\ell))$, so the loss is
# $\ell - y\ell + \log(1 + \exp(-\ell))$. For $\ell < 0$ pull $\exp(-\ell)$ out of the logarithm; $\max(\ell, 0)$ and $|\ell|$
# cover both signs.


def cross_entropy(logits, labels):
    """Element by element, finite for every logit; tensors of one shape."""
    return logits.clamp_min(0) - logits * labels + torch.log1p(torch.exp(-logits.abs()))


# Exercise 08.1: the Jaccard index
# Two empty masks agree, and the quotient would be 0 / 0: by convention it is 1.


def jaccard(prediction, truth):
    """Boolean arrays (H, W); a number. Two empty masks agree."""
    union = (prediction | truth).sum()
    return (prediction & truth).sum() / union if union else 1.0


# Exercise 08.2: mean, recall, decay
# The first frame is given and the last is left out; everything else is a mean of something.


def summary(j):
    """j: J of every frame of the video, the first and the last among them; (mean, recall, decay)."""
    x = np.asarray(j)[1:-1]
    borders = np.round(np.linspace(0, len(x) - 1, 5)).astype(int)
    decay = x[: borders[1] + 1].mean() - x[borders[3] :].mean()
    return x.mean(), (x > 0.5).mean(), decay


# Exercise 10.1: the whole product
# $J\mathbf p$ moves the filter by $\mathbf w_2 \delta_1 + \delta_2 \mathbf w_1$; `normal` is the data term's part, from a
# filter to a filter; $J^\mathsf T$ leads back to both layers. The regularisers' residuals are $\sqrt{\lambda_j} \mathbf w_j$,
# so each adds $\lambda_j \delta_j$.


def normal_product(w1, w2, d1, d2, normal, decay):
    """w1, d1 (c, C); w2, d2 (9, c); normal: filter (9, C) -> (9, C); decay (2): the parts of JᵀJp, (c, C) and (9, c)."""
    g = normal(w2 @ d1 + d2 @ w1)
    return w2.T @ g + decay[0] * d1, g @ w1.T + decay[1] * d2


# Exercise 10.2: Gauss-Newton
# Each step asks for the bowl at the present w, walks `count` iterations down in it and starts from there. The gradient's sign
# is the step's.


def my_gauss_newton(w, linearise, counts, solve):
    """w (P); linearise(w): Jᵀr (P) and the function p -> JᵀJp; counts: CG iterations of each step; solve(apply, b, count)."""
    for count in counts:
        gradient, product = linearise(w)
        w = w + solve(product, -gradient, count)
    return w


# Exercise 10.3: one insertion
# Where there is room the sample goes to the end, else to the slot of least weight. The new weight is set against the newest
# one; then all are normalised, and the newest weight is read off after that.


def insertion(gamma, newest, capacity, eta):
    """gamma (K), newest a number: the slot that is filled, the weights after it, and the newest weight of now."""
    slot = len(gamma) if len(gamma) < capacity else int(gamma.argmin())
    gamma = torch.cat([gamma, torch.zeros(1)])[: max(slot + 1, len(gamma))]
    gamma[slot] = newest / (1 - eta)
    gamma = gamma / gamma.sum()
    return slot, gamma, float(gamma[slot])


# Exercise 10.4: a step of offline training
# Old gradients must go first, for PyTorch adds new ones to them. The loss that is returned is that before the step.


def training_step(network, optimiser, features, scores, masks):
    """network(features, scores) -> logits like masks; one step down the mean cross-entropy; returns the loss before it."""
    loss = F.binary_cross_entropy_with_logits(network(features, scores), masks)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


# Exercise 11.1: matching
# With columns of length one a product of matrices holds every cosine. The mean of the best `count` forgives one wrong
# neighbour; the background's part is what makes it a comparison.


def matching(bank, inside, x, count):
    """bank (C, M), inside (M) bool: remembered features, those on the object; x (C, P), those of now; scores (P)."""
    cosines = (bank / bank.norm(dim=0)).T @ (x / x.norm(dim=0))
    on, off = (cosines[part].topk(count, dim=0)[0].mean(dim=0) for part in (inside, ~inside))
    return on - off


# Exercise 11.2: a family of your own
# Fisher's discriminant: of all directions the one in which the two kinds lie farthest apart, measured by how far each spreads.
# It is generative, two Gaussians of one covariance, and discriminative, for it only keeps the boundary. D differs in what it
# leaves out: no Gaussian, a 3x3 neighbourhood, and a memory.


def my_fisher(x, inside, ridge):
    """x (C, P), inside (P) in [0, 1]; (C + 1): w, then b, with w·x + b = 1 at the object's mean and 0 at the background's."""
    on, off = ((x * share).sum(dim=1) / share.sum() for share in (inside, 1 - inside))
    spread = sum((x - mean[:, None]) * share @ (x - mean[:, None]).T for mean, share in ((on, inside), (off, 1 - inside)))
    spread = spread / x.shape[1]
    eye = torch.eye(len(x), dtype=x.dtype, device=x.device)
    w = torch.linalg.solve(spread + ridge * spread.diagonal().mean() * eye, on - off)
    w = w / (w @ (on - off))
    return torch.cat([w, (1 - w @ on).reshape(1)])
