from django.contrib.auth.models import User
from django.contrib.postgres.fields import ArrayField
from django.db import models


class Shelf(models.Model):
    name = models.CharField(max_length=50, unique=True)
    rows = ArrayField(models.IntegerField(), default=list)


class Item(models.Model):
    shelf = models.ForeignKey(Shelf, on_delete=models.CASCADE)
    owner = models.ForeignKey(User, null=True, on_delete=models.SET_NULL)
    name = models.CharField(max_length=100, db_index=True)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    facts = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["price"], name="shop_price")]
