"""Other training loops for the same model, loss and optimizer: Lightning and skorch."""

import torch
from plain_loader import PlainClips, plain_loader
from torch import nn


def lightning_arms(trial) -> dict:
    """Train the model of a `training_speed.Trial` with Lightning's Trainer."""
    import logging

    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    settings = trial.settings

    class Module(lightning.LightningModule):
        """The same model, loss and optimizer."""

        def __init__(self):
            super().__init__()
            self.model = trial.model()

        def training_step(self, batch, _):
            """Compute the loss."""
            features, mask, labels = batch
            return nn.functional.cross_entropy(
                self.model(features, mask), labels, label_smoothing=settings.label_smoothing
            )

        def configure_optimizers(self):
            """Make the optimizer."""
            return torch.optim.AdamW(self.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)

    def arm(batches):
        module = Module()

        def work() -> None:
            lightning.Trainer(
                max_epochs=1,
                accelerator="gpu" if trial.device == "cuda" else "cpu",
                devices=1,
                gradient_clip_val=settings.clip_norm,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            ).fit(module, batches)

        return trial.rate(work)

    plain = plain_loader(PlainClips(trial.data, settings.n_frames, trial.augmentation), trial.batch_size)
    return {"Lightning, DataLoader": arm(plain), "Lightning, one fixed batch": arm(Ready([trial.batch] * trial.steps))}


def skorch_arms(trial) -> dict:
    """Train the model of a `training_speed.Trial` with skorch."""
    from skorch import NeuralNet
    from skorch.callbacks import GradientNormClipping

    settings = trial.settings

    def arm(samples):
        net = NeuralNet(
            trial.model(),
            nn.CrossEntropyLoss,
            criterion__label_smoothing=settings.label_smoothing,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=settings.weight_decay,
            optimizer__fused=True,
            lr=settings.lr,
            max_epochs=1,
            batch_size=trial.batch_size,
            train_split=None,
            iterator_train__shuffle=True,
            callbacks=[GradientNormClipping(settings.clip_norm)],
            device=trial.device,
            verbose=0,
        ).initialize()
        return trial.rate(lambda: net.partial_fit(samples))

    plain = Named(PlainClips(trial.data, settings.n_frames, trial.augmentation))
    ready = [plain[index] for index in range(len(plain))]
    return {"skorch, DataLoader": arm(plain), "skorch, features made before": arm(Ready(ready))}


class Named(torch.utils.data.Dataset):
    """Samples with the names of the model's arguments, as skorch wants them."""

    def __init__(self, samples):
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[dict, int]:
        features, mask, label = self.samples[index]
        return {"features": features, "mask": mask}, label


class Ready(torch.utils.data.Dataset):
    """Samples, or batches, that are there already."""

    def __init__(self, samples: list):
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int):
        if index >= len(self.samples):
            raise IndexError
        return self.samples[index]


OTHER_LOOPS = {"lightning": lightning_arms, "skorch": skorch_arms}
